"""Wrong solutions of assignment 10: SOLO."""

CENTRE = "mask.nonzero().float().mean(dim=0) + 0.5"
HALF = "0.2 * (box[2:] - box[:2]).flip(0) / 2"
PLACES = "(places * grid / size).floor().long()"
FIRST = "torch.maximum(first, middle - 1).clamp(min=0)"
LAST = "torch.minimum(last, middle + 1).clamp(max=grid - 1)"
FILL = "owners[first[0] : last[0] + 1, first[1] : last[1] + 1] = g"
BETTER = "(scores[:, None] > scores) & (labels[:, None] == labels)"
FACTORS = "(-sigma * (overlap**2 - own**2)).exp()"
RESULT = "scores * torch.where(better, factors, 1.0).amin(dim=0)"
MASKS = "y, x = rows[cells // side].sigmoid(), columns[cells % side].sigmoid()"
ENLARGED = '(F.interpolate(maps[None], size, mode="bilinear")[0] for maps in (y, x))'

WRONG = {
    "assign": {
        "the middle of the box, not the mass centre": (
            CENTRE,
            "((box[:2] + box[2:]) / 2).flip(0)",
        ),
        "indices of pixels instead of their middles": (" + 0.5", ""),
        "x and y exchanged": (CENTRE, f"({CENTRE}).flip(0)"),
        "width and height of the region exchanged": (HALF, "0.2 * (box[2:] - box[:2]) / 2"),
        "a region twice as large": (HALF, HALF.replace(" / 2", "")),
        "only the cell of the centre": (HALF, f"0 * {HALF}"),
        "rounds instead of rounding down": (PLACES, PLACES.replace("floor", "round")),
        "divides by the larger side": (PLACES, PLACES.replace("size)", "size.amax())")),
        "divides by (W, H)": (PLACES, PLACES.replace("size)", "size.flip(0))")),
        "not limited to 3 x 3 cells": (
            f"first = {FIRST}\n        last = {LAST}",
            "first = first.clamp(min=0)\n        last = last.clamp(max=grid - 1)",
        ),
        "always 3 x 3 cells": (
            f"first = {FIRST}\n        last = {LAST}",
            "first = (middle - 1).clamp(min=0)\n        last = (middle + 1).clamp(max=grid - 1)",
        ),
        "not limited to the grid": (".clamp(min=0)", ""),
        "leaves out the last row and column": (
            FILL,
            "owners[first[0] : last[0], first[1] : last[1]] = g",
        ),
        "rows and columns of the grid exchanged": (
            FILL,
            "owners[first[1] : last[1] + 1, first[0] : last[0] + 1] = g",
        ),
        "the earlier object keeps the cell": (
            FILL,
            "part = owners[first[0] : last[0] + 1, first[1] : last[1] + 1]\n"
            "        part[part < 0] = g",
        ),
        "counts objects from 1": ("] = g", "] = g + 1"),
        "0 where there is no object": ("(grid, grid), -1)", "(grid, grid), 0)"),
        "returns floats": ("return owners", "return owners.float()"),
    },
    "matrix": {
        "does not divide by the suppressor's own decay": (FACTORS, "(-sigma * overlap**2).exp()"),
        "ignores the classes": (BETTER, "scores[:, None] > scores"),
        "takes the scores as sorted": (
            BETTER,
            "torch.ones_like(iou).triu(diagonal=1).bool() & (labels[:, None] == labels)",
        ),
        "worse ones lower better ones": (BETTER, BETTER.replace(">", "<")),
        "returns them sorted": (RESULT, f"({RESULT}).sort(descending=True).values"),
        "overlap not squared": (FACTORS, "(-sigma * (overlap - own)).exp()"),
        "sigma is always 2": (FACTORS, FACTORS.replace("sigma", "2")),
        "divides by sigma": (FACTORS, "(-(overlap**2 - own**2) / sigma).exp()"),
        "multiplies all factors": (".amin(dim=0)", ".prod(dim=0)"),
        "the largest factor": (
            "torch.where(better, factors, 1.0).amin(dim=0)",
            "torch.where(better, factors, 0.0).amax(dim=0)",
        ),
        "the smallest over the wrong axis": (".amin(dim=0)", ".amin(dim=1)"),
        "the suppressed one's overlap instead of the suppressor's": (
            "amax(dim=0)[:, None]",
            "amax(dim=0)[None]",
        ),
        "area instead of the union": ("(area[:, None] + area - shared)", "area[:, None]"),
        "union without subtracting what is shared": (" + area - shared)", " + area)"),
        "linear decay": (FACTORS, "(1 - overlap) / (1 - own).clamp(min=1e-6)"),
        "returns the factors": ("return scores * ", "return "),
        "returns float64": ("return scores * ", "return scores.double() * "),
        "fails without detections": ("if len(scores) == 0:", "if False:"),
    },
    "decoupled": {
        "row and column exchanged": (
            MASKS,
            "y, x = rows[cells % side].sigmoid(), columns[cells // side].sigmoid()",
        ),
        "X for the row and Y for the column": (
            MASKS,
            "y, x = columns[cells // side].sigmoid(), rows[cells % side].sigmoid()",
        ),
        "one sigmoid of the product": (
            MASKS,
            "y, x = (rows[cells // side] * columns[cells % side]).sigmoid(), torch.ones(())\n"
            "    x = x.expand_as(y)",
        ),
        "one sigmoid of the sum": (
            MASKS,
            "y = (rows[cells // side] + columns[cells % side]).sigmoid()\n"
            "    x = torch.ones_like(y)",
        ),
        "no sigmoid": (MASKS, MASKS.replace(".sigmoid()", "")),
        "the mean of the factors": ("return y * x", "return (y + x) / 2"),
        "the smaller factor": ("return y * x", "return torch.minimum(y, x)"),
        "enlarges the product": (
            ENLARGED,
            ENLARGED.replace("(y, x))", "(y * x, torch.ones_like(x)))"),
        ),
        "enlarges the logits": (
            MASKS,
            "y, x = rows[cells // side], columns[cells % side]\n"
            "    if size is not None and len(cells):\n"
            '        y, x = (F.interpolate(m[None], size, mode="bilinear")[0] for m in (y, x))\n'
            "    y, x = y.sigmoid(), x.sigmoid()",
        ),
        "nearest instead of bilinear": (ENLARGED, ENLARGED.replace("bilinear", "nearest")),
        "with aligned corners": (
            ENLARGED,
            ENLARGED.replace('"bilinear"', '"bilinear", align_corners=True'),
        ),
        "ignores the size": ("size is not None and len(cells):", "False:"),
        "S is the height of the maps": ("side = len(columns)", "side = columns.shape[1]"),
        "cells without repetition": (MASKS, "cells = cells.unique()\n    " + MASKS),
        "size as (W, H)": (ENLARGED, ENLARGED.replace("size,", "size[::-1],")),
        "returns a yes or no": ("return y * x", "return y * x > 0.5"),
        "returns float64": ("return y * x", "return (y * x).double()"),
        "no cells at the old size": ("columns.new_zeros(0, *size)", "columns[:0]"),
    },
}
