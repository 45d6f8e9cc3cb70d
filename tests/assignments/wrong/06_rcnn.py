"""Wrong solutions of assignment 06: from R-CNN to RoIAlign."""

SHIFT = "(objects[:, :2] + objects[:, 2:] - boxes[:, :2] - boxes[:, 2:]) / 2 / sides"
GROWTH = "(new_sides / sides).log()"
DIVIDED = "deltas = deltas / torch.tensor(weights)"
GROWN = "deltas[:, 2:].exp()"
CORNERS = "torch.cat([centres - sides / 2, centres + sides / 2], dim=1)"
KEPT = "return order[alive]"
PRODUCT = "return rows @ feature @ weights(x0, x1, feature.shape[2], bins[1]).T"
ROWS = "rows = weights(y0, y1, feature.shape[1], bins[0])"
COUNT = "math.ceil((end - start) / bins)"
STEPS = "(torch.arange(bins * count) + 0.5) / (bins * count)"
CLAMPED = "places = places.clamp(0, length - 1)"
COUNTED = "(places >= -1) & (places <= length)"
LOWERED = "left = left * (-(ops.box_iou(boxes[best, None], boxes)[0] ** 2) / sigma).exp()"
FREED = "free[best] = False"
SOFT = "return torch.tensor(order, dtype=torch.int64), torch.tensor(taken, dtype=scores.dtype)"
SUM = "(tents * counted[:, None]).reshape(bins, count, length)"
MEAN = "summed / max(count, 1)"
TENTS = "(1 - (places[:, None] - torch.arange(length)).abs()).clamp(min=0)"

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
            ROWS,
            f"(x0, x1), (y0, y1) = (y0, y1), (x0, x1)\n    {ROWS}",
        ),
        "returns columns first": (PRODUCT, f"return ({PRODUCT[7:]}).transpose(1, 2)"),
        "takes the nearest cell": (
            TENTS,
            "((places[:, None] - torch.arange(length)).abs() <= 0.5).float()",
        ),
        "samples from edge to edge": (STEPS, "torch.linspace(0, 1, bins * count + 2)[1:-1]"),
        "the first sample lies on the edge": (
            "(torch.arange(bins * count) + 0.5)",
            "torch.arange(bins * count)",
        ),
        "the largest sample of each bin": (f"{SUM}.sum(dim=1)", f"{SUM}.amax(dim=1) * count"),
        "rounds the box to whole cells": (
            "(box / stride - 0.5).tolist()",
            "(box / stride).round().sub(0.5).tolist()",
        ),
        "takes the box for square": (
            "weights(x0, x1, feature",
            "weights(x0, x0 + y1 - y0, feature",
        ),
        "adds the samples up": (MEAN, "summed"),
        "one channel only": ("rows @ feature @", "rows @ feature[:1].expand_as(feature) @"),
        "takes the map for square": ("feature.shape[2]", "feature.shape[1]"),
        "fades beyond the border": (CLAMPED, "pass"),
        "clips the box to the middles": (
            "(box / stride - 0.5).tolist()",
            "(box / stride - 0.5).clamp(min=0).tolist()",
        ),
        "reads the border however far outside": (COUNTED, "places == places"),
        "reads the border however far to the right": (COUNTED, "places >= -1"),
        "reads the border however far to the left": (COUNTED, "places <= length"),
        "0 for every point beyond the middles": (COUNTED, "(places >= 0) & (places <= length - 1)"),
        "leaves samples outside out of the mean": (
            MEAN,
            "summed / counted.reshape(bins, count).sum(dim=1, keepdim=True).clamp(min=1)",
        ),
        "as many columns as rows": ("feature.shape[2], bins[1]", "feature.shape[2], bins[0]"),
        "swaps rows and columns of bins": (ROWS, f"bins = bins[::-1]\n    {ROWS}"),
        "two samples instead of adapting": (COUNT, "2"),
        "rounds the number of samples": (COUNT, "max(1, round((end - start) / bins))"),
        "rounds the number of samples down": (COUNT, "max(1, int((end - start) / bins))"),
        "counts the cells of the box": (COUNT, "math.ceil(end - start)"),
        "divides by no samples": (MEAN, "summed / count"),
        "a sample even in a bin without width": (COUNT, f"max(1, {COUNT})"),
        "the larger number of samples both ways": (
            COUNT,
            "math.ceil(max((y1 - y0) / bins, (x1 - x0) / bins))",
        ),
    },
    "soft": {
        "sorts once, by the first scores": (
            "left.where(free, -1).argmax()",
            "scores.where(free, -1).argmax()",
        ),
        "the IoU, not its square": ("[0] ** 2)", "[0])"),
        "ignores sigma": (" / sigma).exp()", " / 0.5).exp()"),
        "multiplies by sigma": (" / sigma).exp()", " * sigma).exp()"),
        "raises scores": ("(-(ops", "((ops"),
        "returns the first scores": (
            "taken.append(left[best].item())",
            "taken.append(scores[best].item())",
        ),
        "ignores lowest": ("left[free].max() >= lowest", "left[free].max() > 0"),
        "a score of exactly lowest is too small": (">= lowest", "> lowest"),
        "compares lowest with the first score": (
            "left[free].max() >= lowest",
            "scores[left.where(free, -1).argmax()] >= lowest",
        ),
        "lowers the first scores, not the lowered ones": (
            LOWERED,
            LOWERED.replace("left * (", "scores * ("),
        ),
        "changes its input": (FREED, FREED + "\n        scores[best] = 0"),
        "marks a taken box by minus infinity": (FREED, "left[best] = -math.inf"),
        "indices in the order of the input": (
            SOFT,
            "order, taken = zip(*sorted(zip(order, taken))) if order else ([], [])\n    " + SOFT,
        ),
        "linear instead of Gaussian": (
            "(-(ops.box_iou(boxes[best, None], boxes)[0] ** 2) / sigma).exp()",
            "(1 - ops.box_iou(boxes[best, None], boxes)[0])",
        ),
        "removes neighbours as greedy NMS does": (
            LOWERED,
            "left = left * (ops.box_iou(boxes[best, None], boxes)[0] <= sigma)",
        ),
        "fails without boxes": ("free = torch", "best = scores[0]\n    free = torch"),
        "returns lists": (SOFT, "return order, taken"),
        "the last of equal scores first": (
            "int(left.where(free, -1).argmax())",
            "len(left) - 1 - int(left.where(free, -1).flip(0).argmax())",
        ),
        "takes the best box only": (FREED, "free[:] = False"),
    },
}
