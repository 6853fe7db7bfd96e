"""docs/tutorial.ipynb: what it shows, and that it runs."""

import io
import json
import re
from pathlib import Path

import pytest
from PIL import Image

nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")
pytest.importorskip("ipykernel")

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "docs" / "tutorial.ipynb"


def outputs(notebook):
    """For each cell of code its source, what it printed, and what it showed by kind."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            printed = "".join(output.text for output in cell.outputs if output.output_type == "stream")
            shown = [output.data for output in cell.outputs if output.output_type == "execute_result"]
            yield cell.source, printed, (shown or [{}])[-1]


def require_shown(found, nb_steps):
    """Check what a reader is to see, in cells that were run."""
    by_source = {source.splitlines()[-1]: (printed, shown) for source, printed, shown in found}
    printed, _ = by_source[f"trained = train(Config(nb_steps={nb_steps}, seed=0))"]
    assert re.search(
        r"100%\|█{10}\| \S+  \d+ ep  reward [\d.]+  best [\d.]+  eps \S+ +(loss \S+ +)?[\d,]+/s  took", printed
    )
    assert "call play() of what train returned" in printed
    _, shown = by_source["trained"]
    assert shown["image/png"].startswith("iVBOR")
    for start in ("trained.play(", "corridor.play("):
        ((printed, shown),) = [value for source, value in by_source.items() if source.startswith(start)]
        assert "Testing for 1 episodes" in printed
        assert shown["text/html"].startswith('<img src="data:image/gif;base64,R0lGOD')
    ((printed, shown),) = [value for source, value in by_source.items() if "export(" in source]
    assert "the agent's action in all" in printed and "policy.keras" in shown["text/plain"]


def test_what_is_committed_was_run_and_is_small():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    require_shown(outputs(notebook), "30_000")
    assert NOTEBOOK.stat().st_size < 300_000
    assert all(output.output_type != "error" for cell in notebook.cells for output in cell.get("outputs", []))
    assert not any("\r" in printed for _, printed, _ in outputs(notebook))
    assert [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"] == list(
        range(1, 1 + sum(cell.cell_type == "code" for cell in notebook.cells))
    )
    assert "/tmp" not in json.dumps([printed for _, printed, _ in outputs(notebook)])


@pytest.mark.long
def test_it_runs_in_an_empty_folder(tmp_path, monkeypatch):
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    for cell in notebook.cells:
        cell.source = re.sub(r"\bnb_steps=[\d_]+", "nb_steps=600", cell.source)
        if cell.cell_type == "code":
            cell.outputs = []
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    where = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3", resources=where).execute()
    found = list(outputs(notebook))
    require_shown([(source, printed.rpartition("\r")[2] or printed, shown) for source, printed, shown in found], 600)
    (printed,) = [printed for source, printed, _ in found if source == "trained = train(Config(nb_steps=600, seed=0))"]
    live = re.findall(r"\r([^\r\n]*)", printed)  # each redraw begins the line anew
    assert len(live) >= 2
    assert [line for line in live[:-1] if not re.match(r"[ \d]{2}\d%\|.{10}\| \d+/600  ", line)] == []
    errors = [o.text for cell in notebook.cells for o in cell.get("outputs", []) if o.get("name") == "stderr"]
    assert errors == []
    assert (tmp_path / "film.gif").is_file() and (tmp_path / "policy.keras").is_file()


def test_the_environment_is_that_of_the_page():
    page = (ROOT / "docs" / "own-environment.md").read_text()
    (source,) = re.findall(r"^```python\n(import gym\n.*?)\n```$", page, re.DOTALL | re.MULTILINE)
    (cell,) = [source for source, _, _ in outputs(nbformat.read(NOTEBOOK, as_version=4)) if "class Corridor" in source]
    assert cell.partition("\n")[2] == source


def test_what_it_links_exists():
    texts = [cell.source for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "markdown"]
    links = re.findall(r"\]\(([^)]+)\)", "\n".join(texts))
    assert links and all((NOTEBOOK.parent / link).exists() for link in links)


def test_a_curve_in_a_notebook_is_the_file_in_few_colours():
    import base64

    ((shown,),) = [
        [shown["image/png"]] for _, _, shown in outputs(nbformat.read(NOTEBOOK, as_version=4)) if "image/png" in shown
    ]
    with Image.open(io.BytesIO(base64.b64decode(shown))) as picture:
        assert picture.size[0] == 1200
