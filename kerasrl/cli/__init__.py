"""The command line: options made from settings, layers of presets and files, help, one-line errors, one door."""
