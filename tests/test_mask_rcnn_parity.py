"""The whole Mask R-CNN equals torchvision's: losses and detections with the same weights."""

from dataclasses import replace

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torchvision.models.detection import MaskRCNN as Reference
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.ops import FrozenBatchNorm2d

from seglib.models.mask_rcnn import MaskRCNN
from seglib.models.mask_rcnn.config import MaskRCNNConfig
from seglib.models.mask_rcnn.rpn import select_proposals
from seglib.pretrained.torchvision_names import mask_rcnn_names
from seglib.structures import Target
from tests.modelling import masks_target, some_categories

THINGS = some_categories(3)
# The published network with fewer pixels, proposals and sampled boxes, so that tests are quick.
SIZES = {"min_size": 64, "max_size": 96}
FEWER = {
    "rpn_pre_nms_top_n_train": 300,
    "rpn_pre_nms_top_n_test": 200,
    "rpn_post_nms_top_n_train": 300,
    "rpn_post_nms_top_n_test": 100,
    "box_batch_size_per_image": 32,
    "box_detections_per_img": 30,
}
CONFIG = replace(
    MaskRCNNConfig.paper(),
    frozen_stages=0,
    rois=32,
    max_detections=30,
    rpn=replace(MaskRCNNConfig.paper().rpn, before_nms=(300, 200), after_nms=(300, 100)),
    **SIZES,
)


def randomize(model: nn.Module) -> nn.Module:
    """Random weights whose scores pass the thresholds: heads scaled up, all statistics moved."""
    for module in model.modules():
        if isinstance(module, FrozenBatchNorm2d):
            for name, (low, high) in {
                "weight": (0.3, 0.6),
                "bias": (-0.1, 0.1),
                "running_mean": (-0.1, 0.1),
                "running_var": (0.5, 1.5),
            }.items():
                nn.init.uniform_(getattr(module, name), low, high)
    nn.init.normal_(model.rpn.head.cls_logits.weight, std=0.3)
    nn.init.normal_(model.rpn.head.bbox_pred.weight, std=0.02)
    nn.init.normal_(model.roi_heads.box_predictor.cls_score.weight, std=0.3)
    nn.init.normal_(model.roi_heads.box_predictor.bbox_pred.weight, std=0.05)
    for parameter in model.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.05)
    return model


def reference_model() -> nn.Module:
    """torchvision's `maskrcnn_resnet50_fpn` with frozen norms, as with pretrained weights."""
    torch.manual_seed(0)
    backbone = resnet_fpn_backbone(
        backbone_name="resnet50", weights=None, trainable_layers=5, norm_layer=FrozenBatchNorm2d
    )
    return randomize(Reference(backbone, num_classes=4, **SIZES, **FEWER)).double()


@pytest.fixture(scope="module")
def reference() -> nn.Module:
    return reference_model()


@pytest.fixture(scope="module")
def ours(reference: nn.Module) -> MaskRCNN:
    model = MaskRCNN(CONFIG, THINGS)
    model.load_state_dict(mask_rcnn_names(reference.state_dict()), strict=True)
    return model.double()


# The shorter side is 64, or is resized to it: then torchvision rounds the boxes' scale to float32.
EXACT, RESIZED = ((64, 80), (75, 64)), ((50, 70), (75, 45))


@pytest.fixture(scope="module", params=[EXACT, RESIZED], ids=["exact", "resized"])
def sizes(request: pytest.FixtureRequest) -> tuple[tuple[int, int], ...]:
    return request.param


@pytest.fixture(scope="module")
def tolerance(sizes: tuple[tuple[int, int], ...]) -> float:
    return 1e-8 if sizes is EXACT else 1e-6


@pytest.fixture(scope="module")
def images(sizes: tuple[tuple[int, int], ...]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.rand(3, *size, dtype=torch.float64, generator=generator) for size in sizes]


@pytest.fixture(scope="module")
def targets(images: list[Tensor]) -> list[Target]:
    boxes = [[[5, 10, 30, 40], [20, 15, 69, 49], [2, 2, 15, 12]], [[10, 30, 40, 70]]]
    labels = [[1, 3, 2], [2]]
    made = []
    for number, (image, corners, classes) in enumerate(zip(images, boxes, labels, strict=True)):
        masks = torch.zeros(len(corners), *image.shape[-2:], dtype=torch.bool)
        for mask, (x0, y0, x1, y1) in zip(masks, corners, strict=True):
            mask[y0:y1, x0:x1] = True
            mask[(y0 + y1) // 2 : y1, x0 : (x0 + x1) // 2] = False
        made.append(masks_target(masks, classes, image_id=number))
    return made


@pytest.fixture
def first_ones_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both sides sample the first boxes of each kind instead of random ones."""

    def ours(labels: Tensor, count: int, positive_fraction: float, generator: object = None):
        positive, negative = ((labels > 0).nonzero()[:, 0], (labels == 0).nonzero()[:, 0])
        positive = positive[: int(count * positive_fraction)]
        return positive, negative[: count - len(positive)]

    def theirs(self, matched: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        masks: tuple[list[Tensor], list[Tensor]] = ([], [])
        for labels in matched:
            sampled = ours(labels, self.batch_size_per_image, self.positive_fraction)
            for kind, rows in zip(masks, sampled, strict=True):
                kind.append(torch.zeros_like(labels, dtype=torch.uint8))
                kind[-1][rows] = 1
        return masks

    sampler = torchvision.models.detection._utils.BalancedPositiveNegativeSampler
    monkeypatch.setattr(sampler, "__call__", theirs)
    monkeypatch.setattr("seglib.models.mask_rcnn.box_targets.balanced_sample", ours)


@pytest.fixture
def boxes_resized_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep torchvision from rounding the scale to float32, which moves true boxes by 3e-8 of it.

    With the rounding, gradients differ by up to 1e-6 of the largest, without it by 1e-10.
    """

    def theirs(boxes: Tensor, original_size: list[int], new_size: list[int]) -> Tensor:
        height, width = (new / old for new, old in zip(new_size, original_size, strict=True))
        return boxes * boxes.new_tensor([width, height, width, height])

    monkeypatch.setattr("torchvision.models.detection.transform.resize_boxes", theirs)


@pytest.mark.usefixtures("first_ones_sampled", "boxes_resized_exactly")
def test_losses_and_gradients_equal_torchvision(
    reference: nn.Module, ours: MaskRCNN, images: list[Tensor], targets: list[Target]
) -> None:
    truth = [
        {"boxes": t.boxes.double(), "labels": t.labels, "masks": t.masks.to(torch.uint8)}
        for t in targets
    ]
    expected = reference.train()(images, truth)
    actual = ours.train().loss(images, targets)
    names = {
        "objectness_loss": "loss_objectness",
        "rpn_box_loss": "loss_rpn_box_reg",
        "class_loss": "loss_classifier",
        "box_loss": "loss_box_reg",
        "mask_loss": "loss_mask",
    }
    assert set(actual) == set(names)
    for name, theirs in names.items():
        assert expected[theirs] > 1e-4, "the comparison would prove nothing"
        # torchvision computes this one loss in float32, whatever its inputs are.
        relative = 1e-6 if name == "objectness_loss" else 1e-10
        torch.testing.assert_close(
            actual[name], expected[theirs], rtol=relative, atol=1e-12, check_dtype=False
        )

    sum(expected.values()).backward()
    sum(actual.values()).backward()
    gradients = {name: p.grad for name, p in reference.named_parameters()}
    renamed = mask_rcnn_names(gradients)
    for name, parameter in ours.named_parameters():
        if name.startswith("backbone.conv1"):
            assert renamed[name].abs().max() > 0
        largest = renamed[name].abs().max().item()
        torch.testing.assert_close(parameter.grad, renamed[name], rtol=0, atol=1e-10 * largest)
    reference.zero_grad(set_to_none=True)
    ours.zero_grad(set_to_none=True)


def test_slivers_are_dropped_as_in_torchvision(reference: nn.Module, ours: MaskRCNN) -> None:
    assert ours.config.rpn.min_size == reference.rpn.min_size
    height = torch.tensor([0.0, 0.0, 0.0, 9.0], dtype=torch.float64)
    boxes = height + torch.tensor([[0.0, 0, width, 0] for width in (9.0, 2e-3, 5e-4)]).double()
    logits = torch.tensor([1.0, 3.0, 2.0], dtype=torch.float64)
    theirs, _ = reference.eval().rpn.filter_proposals(boxes[None], logits[None], [(64, 80)], [3])
    kept, _ = select_proposals([boxes], [logits], (64, 80), min_size=ours.config.rpn.min_size)
    assert torch.equal(kept, theirs[0])
    assert len(kept) == 2


@pytest.mark.parametrize("padded", [True, False], ids=["one padded batch", "one by one"])
def test_detections_equal_torchvision(
    padded: bool, reference: nn.Module, ours: MaskRCNN, images: list[Tensor], tolerance: float
) -> None:
    """Also in one padded batch, where torchvision's detections depend on the padding."""
    with torch.no_grad():
        alone = [reference.eval()([image])[0] for image in images]
        expected = reference([*images]) if padded else alone
    with ours.evaluating():
        actual = ours.predict_batch(images) if padded else ours.predict(images)
    assert sum(len(e["scores"]) for e in expected) >= 50
    for prediction, theirs in zip(actual, expected, strict=True):
        found = prediction.instances
        assert len(found) == len(theirs["scores"])
        torch.testing.assert_close(found.scores, theirs["scores"], rtol=tolerance, atol=1e-10)
        torch.testing.assert_close(found.boxes, theirs["boxes"], rtol=tolerance, atol=1e-5)
        assert torch.equal(found.labels, theirs["labels"])
        same = (found.masks == (theirs["masks"][:, 0] >= 0.5)).float().mean()
        assert same > 0.9999
        assert found.masks.any()
    if padded:
        pairs = zip(expected, alone, strict=True)
        assert any(not torch.equal(e["scores"], a["scores"]) for e, a in pairs)


def test_float32_detections_agree(
    reference: nn.Module, ours: MaskRCNN, images: list[Tensor]
) -> None:
    single = [image.float() for image in images]
    model = MaskRCNN(ours.config, THINGS)
    model.load_state_dict(ours.state_dict())
    model = model.float()
    for prediction, exact in zip(model.predict(single), ours.predict(images), strict=True):
        torch.testing.assert_close(
            prediction.instances.scores[:20],
            exact.instances.scores[:20].float(),
            rtol=1e-4,
            atol=1e-4,
        )
