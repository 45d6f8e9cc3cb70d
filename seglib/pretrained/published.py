"""The table of published weights that seglib can read: what they are and where to find them.

None of them comes with seglib. A file's name often contains the first digits of its digest, with
which a download is compared. They are those of the SHA-256 for torchvision (which checks them
itself, as does torch.hub for DETR) and for mmdetection (its tools/model_converters/publish_model.py
writes them), and those of the MD5 for detectron2, MaskFormer and Mask2Former (see the introductions
of their MODEL_ZOO.md). The authors of YOLACT published no digest.

Addresses and licences are those of torchvision's weight tables, of facebookresearch/detr's
hubconf.py, and of the model zoos and READMEs of the other repositories.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

TORCHVISION = "https://download.pytorch.org/models/"
DETR = "https://dl.fbaipublicfiles.com/detr/"
DETECTRON2 = "https://dl.fbaipublicfiles.com/detectron2/"
MMDETECTION = "https://download.openmmlab.com/mmdetection/v2.0/"
MASKFORMER = "https://dl.fbaipublicfiles.com/maskformer/"
DRIVE = "https://drive.google.com/file/d/"


@dataclass(frozen=True)
class Published:
    """One file of published weights.

    Attributes:
        name: its name for `seglib weights`, `predict` and `eval`.
        model: the paradigm, one of `seglib.models.model_names()`.
        classes: the classes that it was trained on, in short.
        licence: the licence of the weights, in short.
        address: where the file is or, with `by_hand`, the page from which a browser gets it.
        file: the file's official name.
        megabytes: the file's size, if its publisher states it.
        digest: the first hexadecimal digits of the file's digest; empty if none was published.
        algorithm: the algorithm of the digest.
        by_hand: whether only a browser can download the file.
    """

    name: str
    model: str
    classes: str
    licence: str
    address: str
    file: str
    megabytes: int | None = None
    digest: str = ""
    algorithm: Literal["sha256", "md5"] = "sha256"
    by_hand: bool = False


def _torchvision(name: str, model: str, classes: str, file: str, megabytes: int) -> Published:
    digest = file.removesuffix(".pth").split("-")[-1]
    address = TORCHVISION + file
    return Published(name, model, classes, "BSD-3-Clause", address, file, megabytes, digest)


def _detr(name: str, classes: str, file: str, megabytes: int) -> Published:
    digest = file.removesuffix(".pth").split("-")[-1]
    return Published(name, "detr", classes, "Apache-2.0", DETR + file, file, megabytes, digest)


def _mmdetection(name: str, folder: str, file: str) -> Published:
    digest = file.removesuffix(".pth").split("-")[-1]
    address = f"{MMDETECTION}{folder}/{file}"
    return Published(name, "solo", "COCO", "Apache-2.0", address, file, digest=digest)


def _model_zoo(
    name: str, model: str, classes: str, licence: str, folder: str, digest: str, mb: int | None
) -> Published:
    file = f"model_final_{digest}.pkl"
    return Published(
        name, model, classes, licence, f"{folder}/{file}", file, mb, digest, algorithm="md5"
    )


def _yolact(name: str, file: str, page: str) -> Published:
    address = f"{DRIVE}{page}/view"
    return Published(name, "yolact", "COCO", "MIT", address, file, by_hand=True)


_BY_SA = "CC BY-SA 3.0"
_BY_NC = "CC BY-NC 4.0"  # not for commercial use

_TABLE = (
    _torchvision("fcn_resnet50", "fcn", "VOC's 20", "fcn_resnet50_coco-1167a1af.pth", 135),
    _torchvision("fcn_resnet101", "fcn", "VOC's 20", "fcn_resnet101_coco-7ecb50ca.pth", 208),
    _torchvision(
        "maskrcnn_resnet50_fpn",
        "mask_rcnn",
        "COCO",
        "maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth",
        170,
    ),
    _model_zoo(
        "mask_rcnn_R_50_FPN",
        "mask_rcnn",
        "COCO",
        _BY_SA,
        f"{DETECTRON2}COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x/137849600",
        "f10217",
        178,
    ),
    _model_zoo(
        "cascade_rcnn_R_50_FPN",
        "cascade_rcnn",
        "COCO",
        _BY_SA,
        f"{DETECTRON2}Misc/cascade_mask_rcnn_R_50_FPN_3x/144998488",
        "480dd8",
        None,
    ),
    _yolact(
        "yolact_resnet50", "yolact_resnet50_54_800000.pth", "1yp7ZbbDwvMiFJEq4ptVKTYTI2VeRDXl0"
    ),
    _yolact("yolact_base", "yolact_base_54_800000.pth", "1UYy3dMapbH1BnmtZU4WH1zbYgOzzHHf_"),
    _mmdetection(
        "solo_r50",
        "solo/solo_r50_fpn_3x_coco",
        "solo_r50_fpn_3x_coco_20210901_012353-11d224d7.pth",
    ),
    _mmdetection(
        "decoupled_solo_r50",
        "solo/decoupled_solo_r50_fpn_3x_coco",
        "decoupled_solo_r50_fpn_3x_coco_20210821_042504-7b3301ec.pth",
    ),
    _mmdetection(
        "solov2_r50",
        "solov2/solov2_r50_fpn_3x_coco",
        "solov2_r50_fpn_3x_coco_20220512_125856-fed092d4.pth",
    ),
    _detr("detr_resnet50", "COCO boxes", "detr-r50-e632da11.pth", 167),
    _detr("detr_resnet50_dc5", "COCO boxes", "detr-r50-dc5-f0fb7ef5.pth", 167),
    _detr("detr_resnet101", "COCO boxes", "detr-r101-2c7b67e5.pth", 243),
    _detr("detr_resnet50_panoptic", "COCO panoptic", "detr-r50-panoptic-00ce5173.pth", 173),
    _model_zoo(
        "maskformer_panoptic_r50",
        "maskformer",
        "COCO panoptic",
        _BY_NC,
        f"{MASKFORMER}panoptic-coco/maskformer_panoptic_R50_bs64_554k",
        "6f60dc",
        None,
    ),
    _model_zoo(
        "mask2former_instance_r50",
        "maskformer",
        "COCO",
        _BY_NC,
        f"{MASKFORMER}mask2former/coco/instance/maskformer2_R50_bs16_50ep",
        "3c8ec9",
        None,
    ),
    _model_zoo(
        "mask2former_panoptic_r50",
        "maskformer",
        "COCO panoptic",
        _BY_NC,
        f"{MASKFORMER}mask2former/coco/panoptic/maskformer2_R50_bs16_50ep",
        "94dc52",
        None,
    ),
)
PUBLISHED: dict[str, Published] = {entry.name: entry for entry in _TABLE}
