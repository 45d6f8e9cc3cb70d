"""The scenes of `seglib predict` without images, and a warning about models of drawn scenes."""

from __future__ import annotations

from pathlib import Path

# Images of Pocket COCO's validation split, on which no shipped model was trained, with large and
# small objects that are easy to recognise.
SCENES = (2000007, 2000014, 2000019, 2000025, 2000031, 2000035)
MODEL = "mask_rcnn"  # the shipped checkpoint that is used if none is named
ANOTHER = "maskformer"
FOR_PHOTOGRAPHS = "maskrcnn_resnet50_fpn"  # published weights


def drawn_scenes() -> list[Path]:
    """The files of `SCENES`; an installed package without them draws the split first."""
    from seglib.data.pocket import ensure_pocket

    folder = ensure_pocket("val") / "val"
    return [folder / f"{number:012d}.png" for number in SCENES]


def only_drawings(model: Path, name: str, files: list[Path]) -> str | None:
    """A warning about photographs, for a model that was trained on drawn scenes.

    Args:
        model: the model's file.
        name: the name that the user gave for it.
        files: the images to predict.

    Returns:
        one line, or None if the model was trained on other data or all images are such scenes.
    """
    from seglib import pretrained
    from seglib.data.pocket import is_scene

    if pretrained.trained_on(model) != "pocket":
        return None
    others = [file for file in files if not is_scene(file)]
    if not others:
        return None
    file_names = (
        others[0].name if len(others) == 1 else f"{others[0].name} and {len(others) - 1} more"
    )
    return (
        f"{name} has only seen the drawn scenes of Pocket COCO, so its results for {file_names} "
        f"mean little; for photographs: `seglib weights {FOR_PHOTOGRAPHS}`, then `seglib predict "
        f"{FOR_PHOTOGRAPHS} {others[0].name}`"
    )


def next_steps(model: str, first_overlay: Path) -> str:
    """Suggestions of commands to try after viewing the scenes."""
    from seglib.pretrained.published import PUBLISHED

    steps = {f"seglib predict {model} photo.jpg": "segment your own photograph"}
    if model not in PUBLISHED:
        other = ANOTHER if model != ANOTHER else MODEL
        steps = {
            f"seglib predict {other}": "the same scenes through another paradigm",
            f"seglib weights {FOR_PHOTOGRAPHS}": "fetch weights for photographs, and then",
            f"seglib predict {FOR_PHOTOGRAPHS} photo.jpg": "segment your own",
        }
    width = max(map(len, steps))
    lines = [f"  {step:{width}}  {why}" for step, why in steps.items()]
    return "\n".join([f"look at {first_overlay}, then try:", *lines])
