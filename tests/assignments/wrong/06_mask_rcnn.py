"""Wrong solutions of assignment 06: from R-CNN to Mask R-CNN."""

SHIFT = "(objects[:, :2] + objects[:, 2:] - boxes[:, :2] - boxes[:, 2:]) / 2 / sides"
GROWTH = "(new_sides / sides).log()"
DIVIDED = "deltas = deltas / torch.tensor(weights)"
GROWN = "deltas[:, 2:].exp()"
CORNERS = "torch.cat([centres - sides / 2, centres + sides / 2], dim=1)"
KEPT = "return order[alive]"
PRODUCT = "return weights(y0, y1, feature.shape[1]) @ feature @ weights(x0, x1, feature.shape[2]).T"
STEPS = "(torch.arange(bins * samples) + 0.5) / (bins * samples)"
TENTS = "(1 - (places[:, None] - torch.arange(length)).abs()).clamp(min=0)"
RESCUE = "labels[(iou == iou.max(dim=1, keepdim=True).values).any(dim=0)] = 1"
FIRST_BEST = "best, which = iou.max(dim=0)"

WRONG = {
    "deltas": {
        "shifts from corner to corner": (SHIFT, "(objects[:, :2] - boxes[:, :2]) / sides"),
        "shifts in sides of the object": (
            "- boxes[:, 2:]) / 2 / sides",
            "- boxes[:, 2:]) / 2 / new_sides",
        ),
        "old side over new side": (GROWTH, "(sides / new_sides).log()"),
        "logarithm of base 2": (GROWTH, "(new_sides / sides).log2()"),
        "twice the shift": (") / 2 / sides", ") / sides"),
        "encode divides by the weights": (".log()], dim=1) * torch", ".log()], dim=1) / torch"),
        "encode ignores the weights": (" * torch.tensor(weights)", ""),
        "decode ignores the weights": (DIVIDED, "pass"),
        "decode multiplies by the weights": (DIVIDED, DIVIDED.replace("/", "*")),
        "growth as 1 + d": (GROWN, "(1 + deltas[:, 2:])"),
        "takes the centre for a corner": (CORNERS, "torch.cat([centres, centres + sides], dim=1)"),
        "shifts by the new sides": (
            "    centres = (boxes[:, :2] + boxes[:, 2:]) / 2 + deltas[:, :2] * sides\n"
            "    sides = sides * deltas[:, 2:].exp()",
            "    sides = sides * deltas[:, 2:].exp()\n"
            "    centres = (boxes[:, :2] + boxes[:, 2:]) / 2 + deltas[:, :2] * sides",
        ),
        "works for square boxes only": (
            "sides, new_sides = boxes[:, 2:] - boxes[:, :2]",
            "sides, new_sides = (boxes[:, 2:3] - boxes[:, :1]).expand(-1, 2)",
        ),
        "decode changes its input": (DIVIDED, "deltas /= torch.tensor(weights)"),
    },
    "nms": {
        "suppresses at exactly the threshold": ("> iou_threshold", ">= iou_threshold"),
        "suppressed boxes suppress too": ("if alive[rank]:", "if True:"),
        "the last of equal scores first": (
            "scores.argsort(descending=True, stable=True)",
            "scores.flip(0).argsort(descending=True, stable=True).neg() + len(scores) - 1",
        ),
        "lowest score first": ("descending=True", "descending=False"),
        "indices in the order of the input": (KEPT, KEPT + ".sort().values"),
        "returns ranks, not indices": (KEPT, "return alive.nonzero()[:, 0]"),
        "returns whether a box stays": (KEPT, "return alive"),
        "compares boxes in the order of the input": ("boxes[order], boxes[order]", "boxes, boxes"),
        "the threshold is always 0.5": ("> iou_threshold", "> 0.5"),
        "returns a list": (KEPT, KEPT + ".tolist()"),
        "fails without boxes": ("order = scores", "best = scores[0]\n    order = scores"),
        "keeps the best box only": (KEPT, KEPT + "[:1]"),
    },
    "align": {
        "cell 0 begins at coordinate 0": ("box / stride - 0.5", "box / stride"),
        "swaps x and y": (
            PRODUCT,
            f"(x0, x1), (y0, y1) = (y0, y1), (x0, x1)\n    {PRODUCT}",
        ),
        "returns columns first": (PRODUCT, f"return ({PRODUCT[7:]}).transpose(1, 2)"),
        "takes the nearest cell": (
            TENTS,
            "((places[:, None] - torch.arange(length)).abs() <= 0.5).float()",
        ),
        "samples from edge to edge": (STEPS, "torch.linspace(0, 1, bins * samples + 2)[1:-1]"),
        "the first sample lies on the edge": (
            "(torch.arange(bins * samples) + 0.5)",
            "torch.arange(bins * samples)",
        ),
        "the largest sample of each bin": (".mean(dim=1)", ".amax(dim=1)"),
        "rounds the box to whole cells": (
            "(box / stride - 0.5).tolist()",
            "(box / stride).round().sub(0.5).tolist()",
        ),
        "takes the box for square": (
            "weights(x0, x1, feature",
            "weights(x0, x0 + y1 - y0, feature",
        ),
        "adds the samples up": (".mean(dim=1)", ".sum(dim=1)"),
        "one channel only": ("feature @", "feature[:1].expand_as(feature) @"),
        "takes the map for square": ("feature.shape[2]", "feature.shape[1]"),
    },
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
}
