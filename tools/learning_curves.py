"""Record how fast Mask R-CNN, MaskFormer and DETR learn in equal CPU time.

First train each of them on the same kind of processor with the same number of threads. The recorded
curves come from these commands, which ran side by side on one machine:

    export OMP_NUM_THREADS=2
    seglib train mask_rcnn --device cpu --batch-size 16 --lr 0.002 --ema 0.98 \\
        --steps 525 --eval-every 105 --eval-limit 60 --out runs/mask_rcnn
    seglib train maskformer --device cpu --batch-size 16 --lr 0.0012 --clip 0.1 --ema 0.98 \\
        --steps 509 --eval-every 101 --eval-limit 60 --out runs/maskformer
    seglib train detr --device cpu --batch-size 16 --lr 0.0006 --clip 0.1 --ema 0.98 \\
        --steps 427 --eval-every 85 --eval-limit 60 --out runs/detr

Learning rates are those of the shipped checkpoints. The numbers of steps were chosen from the time
of the first steps, so that all three take about equally long. Then

    python tools/learning_curves.py --threads 2 runs/mask_rcnn runs/maskformer runs/detr

writes data/learning_curves.json. Each point is measured on the first 60 validation images, and the
last on all 300.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from seglib.atomic import write_atomic
from seglib.data.assets import checkout_root
from seglib.json_files import parse_json
from seglib.pretrained.curves import FILE, curve_of_run, curves_as_json


def main() -> None:
    """Read the runs' logs and write the curves."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, required=True, help="threads of each training run")
    parser.add_argument("runs", type=Path, nargs="+", help="folders written by `seglib train`")
    arguments = parser.parse_args()
    root = checkout_root()
    assert root is not None, "run this in a checkout"
    curves = {}
    for run in arguments.runs:
        model = parse_json((run / "run.json").read_bytes())["model"]
        curves[model] = curve_of_run(run, arguments.threads)
    text = curves_as_json(curves).encode()
    write_atomic(root / "data" / FILE, lambda stream: stream.write(text))


if __name__ == "__main__":
    main()
