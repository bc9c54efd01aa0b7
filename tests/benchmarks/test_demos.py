"""`benchmarks/demos.py`: the table of what demos wrote."""

import json

import demos


def written(folder, task, keras, *, verified=True):
    forms = {"Keras, trained": (0.981, 21, 74), "int8, stock": (0.98, 2, 36), "int8, kerasbn": (0.979, 0, 34)}
    variants = [
        {"name": name, "accuracy": score, "batchnorms": left, "ops": ops, "bytes": 316000, "latency": {"ratio": 0.9}}
        for name, (score, left, ops) in {**forms, "float32, kerasbn": (0.981, 0, 34)}.items()
    ]
    record = {"task": task, "keras": keras, "metric": "accuracy", "verified": verified, "variants": variants}
    folder.mkdir(parents=True)
    (folder / "demo.json").write_text(json.dumps(record))


def test_a_row_for_each_report_in_the_order_of_the_demos(tmp_path, monkeypatch, capsys):
    written(tmp_path / "a", "language", "tf_keras")
    written(tmp_path / "b" / "c", "keywords", "keras")
    written(tmp_path / "d", "language", "keras")
    monkeypatch.setattr("sys.argv", ["d", str(tmp_path / "a"), str(tmp_path / "b"), str(tmp_path / "d"), "--markdown"])
    assert demos.main() == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| `")]
    assert [row.split(" | ")[0] for row in rows] == ["| `keywords`", "| `language`", "| `language`"]
    assert rows[1].startswith("| `language` | keras | Language, TextCNN | sentences in 14 languages | ")
    assert rows[1].endswith(" | 21, 2, 0 | accuracy | 98.1 | 98.0, 97.9 | 36, 34 | 316, 316 | 0.90, 0.90 |")


def test_a_refused_file_is_said(tmp_path, monkeypatch, capsys):
    written(tmp_path / "a", "language", "keras", verified=False)
    monkeypatch.setattr("sys.argv", ["d", str(tmp_path)])
    assert demos.main() == 1
    assert "language, keras: refused" in capsys.readouterr().out
