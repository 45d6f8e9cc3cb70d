"""Wrong solutions of assignment 07: from anchors to Mask R-CNN."""

RESCUE = "labels[(iou == iou.max(dim=1, keepdim=True).values).any(dim=0)] = 1"
FIRST_BEST = "best, which = iou.max(dim=0)"
SUM = "-(p[positive].log().sum() + (1 - p[negative]).log().sum()) / count"
BOX = "(deltas[positive] - true_deltas[positive]).abs().sum() / count"
PLACES = "(torch.arange(length) + 0.5 - start) / cell - 0.5"
TENT = "(1 - (places[:, None] - torch.arange(len(mask))).abs()).clamp(min=0)"
PRODUCT = "weights(y0, y1, size[0]) @ mask @ weights(x0, x1, size[1]).T >= threshold"
CORNERS = "x0, y0, x1, y1 = box.tolist()"

WRONG = {
    "labels": {
        "no rescue": (RESCUE, "pass"),
        "rescues one anchor of a tie": (RESCUE, "labels[iou.argmax(dim=1)] = 1"),
        "a rescued anchor learns the object that it rescues": (
            "return labels, which",
            "which[iou.argmax(dim=1)] = torch.arange(len(iou))\n    return labels, which",
        ),
        "an IoU of exactly high is too small": ("best >= high", "best > high"),
        "an IoU of exactly low is background": ("best < low", "best <= low"),
        "rescues no anchor below low": (".any(dim=0)] = 1", ".any(dim=0) & (best >= low)] = 1"),
        "high is always 0.7": ("best >= high", "best >= 0.7"),
        "low is always 0.3": ("best < low", "best < 0.3"),
        "background in between": ("torch.full_like(which, -1)", "torch.zeros_like(which)"),
        "the last object among equals": (
            FIRST_BEST,
            FIRST_BEST + "\n    which = len(iou) - 1 - iou.flip(0).argmax(dim=0)",
        ),
        "returns floats": ("torch.full_like(which, -1)", "torch.full_like(best, -1)"),
        "returns the best IoU, not the object": ("return labels, which", "return labels, best"),
        "the best anchor of each object": (FIRST_BEST, "best, which = iou.max(dim=1)"),
    },
    "losses": {
        "divides by all anchors": ("(labels >= 0).sum()", "len(labels)"),
        "divides by the positives": ("(labels >= 0).sum()", "positive.sum().clamp(min=1)"),
        "unsampled anchors are negative": ("labels == 0", "labels <= 0"),
        "unsampled anchors count as sampled": ("(labels >= 0).sum()", "(labels != 9).sum()"),
        "forgets the sign": (SUM, SUM[1:]),
        "forgets the sigmoid": ("logits.sigmoid()", "logits.abs().clamp(0.01, 0.99)"),
        "forgets the negatives": (" + (1 - p[negative]).log().sum()", ""),
        "positives and negatives swapped": ("labels == 1, labels == 0", "labels == 0, labels == 1"),
        "squares instead of absolute values": (".abs().sum()", ".pow(2).sum()"),
        "box loss of all sampled anchors": (
            "(deltas[positive] - true_deltas[positive])",
            "(deltas[labels >= 0] - true_deltas[labels >= 0])",
        ),
        "box loss divided by the positives": (
            BOX,
            BOX.replace("count", "positive.sum().clamp(min=1)"),
        ),
        "box loss fails without positives": (BOX, BOX.replace(".sum() / count", ".mean()")),
        "mean over positives and numbers": (BOX, BOX.replace(".sum() / count", ".sum() / 4")),
        "mean of the four numbers": (BOX, BOX.replace("/ count", "/ count / 4")),
        "box loss of the signed differences": (".abs().sum() / count", ".sum().abs() / count"),
        "smooth L1": (
            BOX,
            "torch.nn.functional.smooth_l1_loss("
            "deltas[positive], true_deltas[positive], reduction='sum') / count",
        ),
        "returns floats": (
            "return objectness,",
            "objectness = objectness.item()\n    return objectness,",
        ),
        "not summed": ("p[positive].log().sum() + (1 - p[negative]).log().sum()", "p.log()"),
        "no gradient": ("p = logits.sigmoid()", "p = logits.detach().sigmoid().requires_grad_()"),
    },
    "paste": {
        "corners of pixels": ("torch.arange(length) + 0.5 - start", "torch.arange(length) - start"),
        "corners of cells": ("/ cell - 0.5", "/ cell"),
        "neither middle": (PLACES, "(torch.arange(length) - start) / cell"),
        "moves pixels to the border": (
            PLACES,
            f"({PLACES}).clamp(0, len(mask) - 1)",
        ),
        "moves pixels of the box to the border": (
            f"        places = {PLACES}\n",
            f"        places = {PLACES}\n"
            "        inside = (places >= -0.5) & (places <= len(mask) - 0.5)\n"
            "        places = places.clamp(0, len(mask) - 1).where(inside, -9)\n",
        ),
        "nearest cell": (
            TENT,
            "((places[:, None] - torch.arange(len(mask))).abs() <= 0.5).float()",
        ),
        "x and y swapped": (CORNERS, "y0, x0, y1, x1 = box.tolist()"),
        "columns first": (PRODUCT, PRODUCT.replace("@ mask @", "@ mask.T @")),
        "size as (W, H)": (
            PRODUCT,
            PRODUCT.replace("size[0]", "size[9]")
            .replace("size[1]", "size[0]")
            .replace("size[9]", "size[1]"),
        ),
        "returns [W, H]": ("return " + PRODUCT, f"return ({PRODUCT}).T"),
        "more than the threshold": (">= threshold", "> threshold"),
        "the threshold is always 0.5": (">= threshold", ">= 0.5"),
        "returns probabilities": (" >= threshold", ""),
        "rounds the box": (CORNERS, CORNERS.replace("box", "box.round()")),
        "cuts the box to whole pixels": (CORNERS, CORNERS.replace("box", "box.floor()")),
        "clips the box to the image": (
            CORNERS,
            "x0, y0, x1, y1 = box.clamp(min=0).tolist()\n"
            "    x1, y1 = min(x1, size[1]), min(y1, size[0])",
        ),
        "takes the box for square": (
            "weights(x0, x1, size[1])",
            "weights(x0, x0 + y1 - y0, size[1])",
        ),
        "fills the box": (
            PRODUCT,
            PRODUCT.replace("@ mask @", "@ torch.ones_like(mask) @"),
        ),
        "fails for an empty box": ("x1 <= x0 or y1 <= y0", "False"),
        "forgets boxes without width": ("x1 <= x0 or y1 <= y0", "y1 <= y0"),
    },
}
