from __future__ import annotations
import json, tempfile
from dataclasses import asdict
from pathlib import Path
from kerasbn.errors import ConversionError
from kerasbn_export.child import crash_of, last_line, run_child
from kerasbn_export.conversion.litert.lower import lowered
from kerasbn_export.conversion.litert.passes import REFUSAL, REQUEST, RESULT

def convert_servable(servable):
    with tempfile.TemporaryDirectory(prefix="kerasbn_") as name:
        folder = Path(name)
        records=[]
        for i,low in enumerate(lowered(servable)):
            (folder/f"{i}.mlir").write_text(low.text)
            records.append({"file":f"{i}.mlir","name":low.name,"inputs":low.inputs,"outputs":low.outputs})
        (folder / REQUEST).write_text(json.dumps(records))
        done = run_child("-m", "kerasbn_export.conversion.litert.passes", name)
        if (folder / REFUSAL).exists():
            raise ConversionError((folder / REFUSAL).read_text()+done.stderr)
        if done.returncode or not (folder / RESULT).exists():
            raise ConversionError(f"{crash_of(done)} {done.stderr[-3000:]}")
        return (folder / RESULT).read_bytes()
