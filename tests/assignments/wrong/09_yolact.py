"""Wrong solutions of assignment 09: YOLACT."""

ORDER = "scores.argsort(descending=True, stable=True)"
SHARED = "across.clamp(min=0) * down.clamp(min=0)"
IOU = "shared / (area[:, None] + area - shared)"
WORST = "iou.triu(diagonal=1).amax(dim=0)"
KEPT = "order[worst <= iou_threshold]"
GREEDY = """alive = torch.ones(len(order), dtype=torch.bool)
    for n in range(len(order)):
        if alive[n]:
            alive[n + 1 :] &= iou[n, n + 1 :] <= iou_threshold
    return order[alive]"""
END = f"worst = {WORST}\n    return {KEPT}"

SUMS = "coefficients @ prototypes.flatten(1)"
MASKS = "sums.sigmoid().unflatten(1, (height, width))"
SCALE = "torch.tensor([width / size[1], height / size[0]] * 2)"
ACROSS = "(columns >= x0 - 1) & (columns < x1 + 1)"
DOWN = "(rows >= y0 - 1) & (rows < y1 + 1)"
CROPPED = "masks * down[:, :, None] * across[:, None]"
LARGE = 'F.interpolate(masks[None], size, mode="bilinear")[0] > 0.5'

EACH = 'F.cross_entropy(logits, labels.clamp(min=0), reduction="none")'
SPLIT = "each[labels > 0], each[labels == 0]"
COUNT = "min(ratio * len(positive), len(negative))"
HARDEST = "negative.topk(count).values"
RESULT = "(positive.sum() + hardest.sum()) / max(1, len(positive))"

WRONG = {
    "fast": {
        "greedy NMS": (END, GREEDY),
        "worse boxes remove better ones": (WORST, "iou.tril(diagonal=-1).amax(dim=0)"),
        "keeps the diagonal": (WORST, "iou.triu().amax(dim=0)"),
        "compares with all others": (WORST, "(iou - torch.eye(len(iou))).amax(dim=0)"),
        "the maximum of each row": (WORST, "iou.triu(diagonal=1).amax(dim=1)"),
        "the sum instead of the maximum": (WORST, "iou.triu(diagonal=1).sum(dim=0)"),
        "the mean instead of the maximum": (WORST, "iou.triu(diagonal=1).mean(dim=0)"),
        "only the neighbour in the ranking": (
            WORST,
            "F.pad(iou.diagonal(offset=1), (1, 0))",
        ),
        "takes the scores as sorted": (ORDER, "torch.arange(len(scores))"),
        "lowest score first": (ORDER, "scores.argsort(stable=True)"),
        "positions in the ranking instead of indices": (
            KEPT,
            "(worst <= iou_threshold).nonzero()[:, 0]",
        ),
        "the boxes that go": (KEPT, "order[worst > iou_threshold]"),
        "an overlap equal to the threshold removes": (KEPT, "order[worst < iou_threshold]"),
        "the threshold is always one half": (KEPT, "order[worst <= 0.5]"),
        "sorted by index": (KEPT, f"{KEPT}.sort().values"),
        "returns the boxes": (KEPT, f"boxes[{KEPT}]"),
        "returns a mask": (KEPT, "worst <= iou_threshold"),
        "returns a list": (KEPT, f"{KEPT}.tolist()"),
        "negative sides count": (SHARED, "across * down"),
        "divides by one area": (IOU, "shared / area[:, None]"),
        "divides by the smaller area": (IOU, "shared / torch.minimum(area[:, None], area)"),
        "union counts the shared part twice": (IOU, "shared / (area[:, None] + area)"),
        "sides one pixel longer": (
            "(x1 - x0) * (y1 - y0)",
            "(x1 - x0 + 1) * (y1 - y0 + 1)",
        ),
        "overlap of x alone": (SHARED, "across.clamp(min=0) * (y1 - y0)"),
        "fails without boxes": ("if len(order) == 0:", "if False:"),
    },
    "masks": {
        "no sigmoid": (MASKS, MASKS.replace(".sigmoid()", "")),
        "sigmoid of the prototypes, not of the sums": (
            f"{SUMS}  # [n, h·w]\n    masks = {MASKS}",
            "coefficients @ prototypes.flatten(1).sigmoid()\n"
            "    masks = sums.unflatten(1, (height, width))",
        ),
        "tanh of the coefficients once more": (SUMS, SUMS.replace("nts", "nts.tanh()", 1)),
        "no negative coefficients": (SUMS, SUMS.replace("nts", "nts.clamp(min=0)", 1)),
        "absolute coefficients": (SUMS, SUMS.replace("nts", "nts.abs()", 1)),
        "softmax of the coefficients": (SUMS, SUMS.replace("nts", "nts.softmax(dim=1)", 1)),
        "softmax over the objects": (
            MASKS,
            "sums.softmax(dim=0).unflatten(1, (height, width))",
        ),
        "rows and columns of the maps exchanged": (
            MASKS,
            "sums.sigmoid().unflatten(1, (width, height)).transpose(1, 2)",
        ),
        "boxes not scaled": (SCALE, "torch.ones(4)"),
        "boxes scaled the wrong way": (SCALE, "1 / " + SCALE),
        "x scaled by the height": (
            SCALE,
            "torch.tensor([height / size[0], width / size[1]] * 2)",
        ),
        "one scale for both sides": (SCALE, "torch.full((4,), width / size[1])"),
        "no margin": (
            f"across = {ACROSS}",
            "across = (columns >= x0) & (columns < x1)",
        ),
        "no margin above and below": (DOWN, "(rows >= y0) & (rows < y1)"),
        "a margin on the first sides only": (ACROSS, ACROSS.replace("x1 + 1", "x1")),
        "includes the far limit": (ACROSS, ACROSS.replace("<", "<=")),
        "excludes the near limit": (DOWN, DOWN.replace(">=", ">")),
        "rounds the boxes": (".T[:, :, None]", ".round().T[:, :, None]"),
        "cuts the boxes down to whole cells": (".T[:, :, None]", ".trunc().T[:, :, None]"),
        "a margin of a pixel of the image": (
            "(boxes * scale).T",
            "((boxes + grown) * scale - grown).T".replace(
                "grown", "torch.tensor([-1.0, -1, 1, 1])"
            ),
        ),
        "crops columns by y and rows by x": (
            CROPPED,
            "masks * ((rows >= x0 - 1) & (rows < x1 + 1))[:, :, None]"
            " * ((columns >= y0 - 1) & (columns < y1 + 1))[:, None]",
        ),
        "crops the columns only": (CROPPED, "masks * across[:, None]"),
        "does not crop": (CROPPED, "masks"),
        "crops outside in": (CROPPED, "masks * ~(down[:, :, None] & across[:, None])"),
        "crops all to the first box": (
            CROPPED,
            "masks * down[:1, :, None] * across[:1, None]",
        ),
        "thresholds, then enlarges": (
            LARGE,
            'F.interpolate((masks[None] > 0.5).float(), size, mode="bilinear")[0] > 0.5',
        ),
        "enlarges the sums": (
            LARGE,
            LARGE.replace("masks[None]", "torch.logit(masks, eps=1e-6)[None]").replace("0.5", "0"),
        ),
        "nearest instead of bilinear": (LARGE, LARGE.replace("bilinear", "nearest")),
        "with aligned corners": (
            LARGE,
            LARGE.replace('"bilinear"', '"bilinear", align_corners=True'),
        ),
        "size as (W, H)": (LARGE, LARGE.replace("size,", "size[::-1],")),
        "one half counts as inside": (LARGE, LARGE.replace("> 0.5", ">= 0.5")),
        "returns probabilities": (LARGE, LARGE.replace(" > 0.5", "")),
        "stays at the prototypes' size": (LARGE, "masks > 0.5"),
        "fails without objects": ("if len(coefficients) == 0:", "if False:"),
        "no objects at the old size": ("torch.zeros(0, *size,", "torch.zeros(0, height, width,"),
    },
    "negatives": {
        "all negatives": (HARDEST, "negative"),
        "the easiest negatives": (HARDEST, "negative.topk(count, largest=False).values"),
        "the first negatives": (HARDEST, "negative[:count]"),
        "random negatives": (HARDEST, "negative[torch.randperm(len(negative))[:count]]"),
        "no negatives": (" + hardest.sum())", ")"),
        "the ignored compete as negatives": (SPLIT, SPLIT.replace("labels == 0", "labels <= 0")),
        "everything but positives is chosen": (HARDEST, "each[labels <= 0]"),
        "positives and negatives both mined": (
            SPLIT,
            "each[labels > 0], each[labels >= 0]",
        ),
        "ignores the ratio": (COUNT, COUNT.replace("ratio", "3")),
        "as many negatives as positives": (COUNT, COUNT.replace("ratio * ", "")),
        "three negatives for the whole image": (COUNT, "min(ratio, len(negative))"),
        "a share of the negatives": (COUNT, "len(negative) // ratio"),
        "fails with few negatives": (COUNT, "ratio * len(positive)"),
        "divides by all chosen": (RESULT, RESULT.replace("len(positive)", "len(positive) + count")),
        "divides by the number of anchors": (RESULT, RESULT.replace("len(positive)", "len(each)")),
        "does not divide": (RESULT, "positive.sum() + hardest.sum()"),
        "mean of each part": (RESULT, "positive.mean() + hardest.mean()"),
        "fails without positives": ("max(1, len(positive))", "len(positive)"),
        "ranks by the largest logit of an object": (
            HARDEST,
            "negative[logits[labels == 0, 1:].amax(dim=1).topk(count).indices]",
        ),
        "ranks by the background's logit": (
            HARDEST,
            "negative[(-logits[labels == 0, 0]).topk(count).indices]",
        ),
        "at least one negative": (COUNT, f"max(1, {COUNT})"),
        "labels count from zero": (
            EACH,
            EACH.replace("labels.clamp(min=0)", "(labels - 1).clamp(min=0)"),
        ),
        "every positive is class 1": (EACH, EACH.replace("clamp(min=0)", "clamp(min=0, max=1)")),
        "background is the last column": (EACH, EACH.replace("logits", "logits.roll(-1, dims=1)")),
        "a binary loss of object or not": (
            EACH,
            "F.binary_cross_entropy_with_logits(logits[:, 1:].amax(dim=1) - logits[:, 0], "
            '(labels > 0).float(), reduction="none")',
        ),
        "no gradient": (EACH, EACH + ".detach()"),
        "returns a number": (RESULT, f"({RESULT}).item()"),
        "returns float64": (RESULT, f"({RESULT}).double()"),
    },
}
