"""FCN equals the references: torchvision's fcn_resnet50, and VGG-16's classifier at one place."""

from dataclasses import replace

import pytest
import torch
import torchvision
from torch import nn

from seglib import SeglibError
from seglib.models.fcn import FCN
from seglib.models.fcn.config import FCNConfig
from tests.modelling import randomize_statistics, semantic_target, some_categories

VOC = some_categories(20)


@pytest.fixture(scope="module")
def reference() -> nn.Module:
    torch.manual_seed(0)
    model = torchvision.models.segmentation.fcn_resnet50(
        weights=None, weights_backbone=None, aux_loss=True, num_classes=21
    )
    return randomize_statistics(model)


@pytest.fixture(scope="module")
def ours(reference: nn.Module) -> FCN:
    model = FCN(FCNConfig.paper("dilated"), VOC)
    model.network.load_state_dict(reference.state_dict(), strict=True)
    return model


def without_dropout(model: nn.Module) -> nn.Module:
    """Training mode whose dropout does nothing, so that two models can be compared in it."""
    model.train()
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return model


def test_dilated_fcn_equals_torchvision(reference: nn.Module, ours: FCN) -> None:
    reference, model = reference.double().eval(), ours.double().eval()
    x = torch.randn(2, 3, 65, 48, dtype=torch.float64)
    with torch.no_grad():
        expected = reference(x)["out"]
        actual = model.raw(x)
    assert expected.std() > 1e-2
    torch.testing.assert_close(actual, expected, rtol=1e-8, atol=1e-10)
    with torch.no_grad():
        actual32 = model.float().raw(x.float())
    scale = expected.abs().max().item()
    torch.testing.assert_close(actual32.double(), expected, rtol=1e-4, atol=1e-4 * scale)


def test_losses_and_gradients_equal_torchvision(reference: nn.Module, ours: FCN) -> None:
    reference, model = without_dropout(reference.double()), without_dropout(ours.double())
    image = torch.rand(3, 40, 40, dtype=torch.float64)
    labels = torch.randint(0, 21, (40, 40))
    labels[:5] = 255
    # A copy, because a second image in the batch keeps the statistics of batch norm alive.
    images, targets = [image, image.flip(-1)], [labels, labels.flip(-1)]

    losses = model.loss(images, [semantic_target(t) for t in targets])
    outputs = reference(model.prepare(images).tensor)
    criterion = nn.CrossEntropyLoss(ignore_index=255)
    expected = criterion(outputs["out"], torch.stack(targets))
    auxiliary = criterion(outputs["aux"], torch.stack(targets))
    torch.testing.assert_close(losses["semantic_loss"], expected, rtol=1e-8, atol=0)
    torch.testing.assert_close(losses["auxiliary_loss"], 0.5 * auxiliary, rtol=1e-8, atol=0)

    sum(losses.values()).backward()
    (expected + 0.5 * auxiliary).backward()
    grads = {name: p.grad for name, p in reference.named_parameters()}
    for name, parameter in model.network.named_parameters():
        scale = grads[name].abs().max().item()
        torch.testing.assert_close(parameter.grad, grads[name], rtol=1e-6, atol=1e-9 * scale)


def small_vgg(width: int) -> nn.Module:
    """torchvision's VGG-16 with a narrow classifier: the same keys, a tenth of the memory."""
    torch.manual_seed(1)
    with torch.device("meta"):
        vgg = torchvision.models.vgg16(weights=None)
    vgg.classifier[0] = nn.Linear(512 * 7 * 7, width)
    vgg.classifier[3] = nn.Linear(width, width)
    vgg.classifier[6] = nn.Linear(width, 10)
    vgg.features = torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["D"])
    for module in vgg.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return vgg


def test_fcn_with_vggs_weights_computes_vggs_classifier() -> None:
    """With padding 1, a 224 px image has one fc6 position, and fc7 there is the classifier's."""
    vgg = small_vgg(width=16).double().eval()
    config = replace(FCNConfig.paper("32s"), head_width=16, first_padding=1)
    model = FCN(config, VOC).double().eval()
    model.load_vgg(vgg.state_dict())
    nn.init.normal_(model.network.score_fr.weight)
    x = torch.randn(1, 3, 224, 224, dtype=torch.float64)
    with torch.no_grad():
        fc7 = vgg.classifier[:5](vgg.avgpool(vgg.features(x)).flatten(1))
        expected = model.network.score_fr(fc7[:, :, None, None])
        actual = model.network.score_fr(head(model, x))
    assert expected.std() > 1e-3
    torch.testing.assert_close(actual, expected, rtol=1e-8, atol=1e-12)


def head(model: FCN, x: torch.Tensor) -> torch.Tensor:
    """fc7 at every position."""
    network = model.network
    fc6 = torch.relu(network.fc6(network.backbone(x).pool5))
    return torch.relu(network.fc7(fc6))


def test_a_classifier_of_another_width_is_refused() -> None:
    model = FCN(replace(FCNConfig.paper("32s"), head_width=8), VOC)
    with pytest.raises(SeglibError, match=r"network\.fc6\.weight"):
        model.load_vgg(small_vgg(width=16).state_dict())
