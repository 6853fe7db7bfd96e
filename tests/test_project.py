"""What README, CI and the package promise about themselves."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


def test_ci_runs_the_readmes_test_command():
    (command,) = re.findall(r"^python3 -m venv .* pytest$", README, re.MULTILINE)
    found = subprocess.run(
        ["grep", "-m", "1", "venv .* pytest$", "README.md"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == command
    assert "grep -m 1 'venv .* pytest$' README.md" in (ROOT / ".ci" / "run").read_text()


def test_the_readmes_script_runs(tmp_path):
    script = re.search(r"```python\n(from kerasrl.*?)```", README, re.DOTALL)[1].replace("50000, vis", "500, vis")
    (tmp_path / "script.py").write_text(script)
    run = subprocess.run(
        [sys.executable, str(tmp_path / "script.py")], cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True
    )
    assert (run.returncode, run.stderr) == (0, b"")
    assert b"Episode 5: reward:" in run.stdout


def test_files_that_the_readme_links_exist():
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert len(links) > 5
    for link in links:
        assert (ROOT / link).exists(), link
