"""Wrong solutions of assignment 01: images, masks and COCO."""

PIXELS = "mask.T.flatten()"
RETURN = "return [*counts, run]"
SHAPED = ".reshape(width, height).T"
CLAMPED = "(high - low).clamp(min=0).prod(dim=2)"
BOX_UNION = "union = area_a[:, None] + area_b[None] - shared"
BOX_IOU = "torch.where(union > 0, shared / union.where(union > 0, 1), 0)"
MASK_UNION = "(a[:, None] | b[None]).sum(dim=(2, 3)).double()"
CROWD = "torch.where(iscrowd[None], own, divisor)"
TAKEN = "free[max(counting, key=lambda g: float(row[g]))] = False"
COUNTING = "[g for g in range(len(ignored)) if free[g] and row[g] >= threshold]"
ELSE_IGNORED = "elif any(ignored[g] and row[g] >= threshold for g in range(len(ignored))):"
KEPT = "[pair for pair in pairs if pair[1] >= 0]"
RANKED = "sorted(counting, key=lambda pair: -pair[0])"
SAMPLES = "[max((p for r, p in points if r >= level), default=0.0) for level in levels]"

WRONG = {
    "encode": {
        "reads along the rows": (PIXELS, "mask.flatten()"),
        "reads the columns from right to left": (PIXELS, "mask.T.flip(0).flatten()"),
        "loses the last run": (RETURN, "return counts"),
        "begins with a run of ones where the mask does": (
            RETURN,
            "counts = [*counts, run]\n    return counts[1:] if counts[0] == 0 else counts",
        ),
        "begins with the value of the first pixel": (
            "value, run = [], False, 0",
            "value, run = [], bool(mask[0, 0]), 0",
        ),
        "counts each run one short": ("value, run = pixel, 0", "value, run = pixel, -1"),
        "ends with an empty run": (RETURN, "return [*counts, run, 0]"),
        "always ends with a run of zeros": (
            RETURN,
            "return [*counts, run] if not value else [*counts, run, 0]",
        ),
        "returns a tensor": (RETURN, "return torch.tensor([*counts, run])"),
        "returns where runs begin": (
            RETURN,
            "counts = [*counts, run]\n    return [sum(counts[:n]) for n in range(len(counts))]",
        ),
    },
    "decode": {
        "fills the rows first": (SHAPED, ".reshape(height, width)"),
        "reshapes to (H, W) and turns": (SHAPED, ".reshape(height, width).T"),
        "forgets to turn": (SHAPED, ".reshape(width, height)"),
        "begins with ones": ("index % 2 == 1", "index % 2 == 0"),
        "returns integers": ("dtype=torch.bool", "dtype=torch.int64"),
        "skips the empty first run and begins with ones": (
            "in enumerate(counts):",
            "in enumerate(count for count in counts if count):",
        ),
        "takes the size for (W, H)": ("height, width = size", "width, height = size"),
        "drops the last run": ("enumerate(counts)", "enumerate(counts[:-1])"),
    },
    "box-iou": {
        "loses the second axis without boxes": (
            "return " + BOX_IOU,
            f"return torch.tensor(({BOX_IOU}).tolist())",
        ),
        "no clamp: apart in both directions counts as shared": (
            CLAMPED,
            "(high - low).prod(dim=2)",
        ),
        "pixels are counted with + 1": (
            CLAMPED,
            "(high - low + 1).clamp(min=0).prod(dim=2)",
        ),
        "counts the shared part twice": (BOX_UNION, "union = area_a[:, None] + area_b[None]"),
        "divides by the area of a": (BOX_UNION, "union = area_a[:, None].expand(len(a), len(b))"),
        "divides by the smaller area": (
            BOX_UNION,
            "union = torch.minimum(area_a[:, None], area_b[None])",
        ),
        "0 / 0 for empty boxes": (BOX_IOU, "shared / union"),
        "returns objects by detections": ("return " + BOX_IOU, f"return ({BOX_IOU}).T"),
        "compares row with row only": (
            "torch.maximum(a[:, None, :2], b[None, :, :2])",
            "torch.maximum(a[:, :2], b[:, :2])[:, None]",
        ),
        "takes the outer corners": (
            "torch.maximum(a[:, None, :2], b[None, :, :2])",
            "torch.minimum(a[:, None, :2], b[None, :, :2])",
        ),
        "reads boxes as (x, y, w, h)": (
            "low = torch.max",
            "a, b = (torch.cat([x[:, :2], x[:, :2] + x[:, 2:]], dim=1) for x in (a, b))\n"
            "    low = torch.max",
        ),
        "works for square boxes only": (
            "((x[:, 2:] - x[:, :2]).clamp(min=0).prod(dim=1) for x in (a, b))",
            "((x[:, 2] - x[:, 0]).clamp(min=0) ** 2 for x in (a, b))",
        ),
    },
    "mask-iou": {
        "fails without masks, since it stacks rows": (
            "(a[:, None] & b[None]).sum(dim=(2, 3)).double()",
            "torch.stack([(mask & b).sum(dim=(1, 2)) for mask in a]).double()",
        ),
        "0 / 0 for empty masks": ("divisor.clamp(min=1)", "divisor"),
        "ignores crowds": ("if iscrowd is not None:", "if False:"),
        "all columns are crowds if one is": (CROWD, "own if iscrowd.any() else divisor"),
        "the crowd's own area": (
            "a.sum(dim=(1, 2)).double()[:, None]",
            "b.sum(dim=(1, 2)).double()[None]",
        ),
        "crowds in the rows": (CROWD, "torch.where(iscrowd[:, None], own, divisor)"),
        "swaps crowds and objects": (CROWD, "torch.where(iscrowd[None], divisor, own)"),
        "counts the shared pixels twice": (
            MASK_UNION,
            "(a.sum(dim=(1, 2))[:, None] + b.sum(dim=(1, 2))[None]).double()",
        ),
        "divides by all pixels": (
            MASK_UNION,
            "torch.full(shared.shape, a[0].numel() + 0.0).double()",
        ),
        "sums over one axis only": (
            "(a[:, None] & b[None]).sum(dim=(2, 3))",
            "(a[:, None] & b[None]).sum(dim=2).amax(dim=2)",
        ),
        "counts overlaps in uint8": (
            "(a[:, None] & b[None]).sum(dim=(2, 3)).double()",
            "(a[:, None] & b[None]).sum(dim=(2, 3)).to(torch.uint8)",
        ),
        "returns objects by detections": (
            "return shared / divisor.clamp(min=1)",
            "return (shared / divisor.clamp(min=1)).T",
        ),
    },
    "judge": {
        "fails without objects": (
            "row = overlaps[d]",
            "row = overlaps[d]\n        best = int(row.argmax())",
        ),
        "fails without detections": (
            "free = ~ignored",
            "free = ~ignored\n    first = int(scores.argmax())",
        ),
        "goes row by row, not by score": (
            "scores.argsort(descending=True)",
            "torch.arange(len(scores))",
        ),
        "lowest score first": ("descending=True", "descending=False"),
        "verdicts in the order of the scores": (
            "return verdicts",
            "return [verdicts[d] for d in scores.argsort(descending=True)]",
        ),
        "an object may be taken twice": (TAKEN, "pass"),
        "takes the first object over the threshold": (TAKEN, "free[counting[0]] = False"),
        "takes the best object only, even if it is taken": (
            COUNTING,
            "[g for g in [int((row * ~ignored).argmax())] if free[g] and row[g] >= threshold]",
        ),
        "ignored objects count as objects": ("free = ~ignored", "free = torch.ones_like(ignored)"),
        "an overlap of exactly the threshold is too small": (
            "free[g] and row[g] >= threshold",
            "free[g] and row[g] > threshold",
        ),
        "the threshold is always 0.5": ("row[g] >= threshold", "row[g] >= 0.5"),
        "a detection on an ignored object is wrong": ("verdicts[d] = -1", "verdicts[d] = 0"),
        "the best overlap decides, ignored or not": (
            "if counting:",
            "if counting and not ignored[int(row.argmax())]:",
        ),
        "an ignored object is taken once": (
            ELSE_IGNORED + "\n            verdicts[d] = -1",
            "elif near := [g for g in range(len(ignored)) if ignored[g] and row[g] >= threshold]:\n"
            "            verdicts[d] = -1\n            ignored = ignored.clone()\n"
            "            ignored[near] = False",
        ),
        "any overlap with an ignored object is enough": (
            ELSE_IGNORED,
            "elif any(ignored[g] and row[g] > 0 for g in range(len(ignored))):",
        ),
        "a second hit on a taken object is ignored": (
            "ignored[g] and row[g] >= threshold",
            "not free[g] and row[g] >= threshold",
        ),
    },
    "average-precision": {
        "does not sort": (RANKED, "counting"),
        "sorts the scores, not the verdicts with them": (
            "pairs = zip(torch.as_tensor(scores).tolist(), verdicts, strict=True)",
            "pairs = zip(torch.as_tensor(scores).sort(descending=True).values.tolist(), verdicts)",
        ),
        "lowest score first": ("-pair[0]", "pair[0]"),
        "ignored detections count as wrong": (
            KEPT,
            "[(score, max(verdict, 0)) for score, verdict in pairs]",
        ),
        "ignored detections take one away": (KEPT, "list(pairs)"),
        "the precision at the next recall only": (
            SAMPLES,
            "[next((p for r, p in points if r >= level), 0.0) for level in levels]",
        ),
        "the best precision anywhere": (
            SAMPLES,
            "[max((p for r, p in points), default=0.0) for level in levels]",
        ),
        "recalls that are never reached are left out": (
            "return sum(samples) / 101",
            "kept = [s for s in samples if s > 0]\n    return sum(kept) / max(len(kept), 1)",
        ),
        "the mean of the precision at the hits": (
            "return sum(samples) / 101",
            "hits = [p for (r, p), (before, _) in zip(points, [(0, 0), *points]) if r > before]\n"
            "    return sum(hits) / objects",
        ),
        "eleven recalls": (
            "levels = [level / 100 for level in range(101)]",
            "levels = [level / 10 for level in range(11) for _ in range(10)][:101]",
        ),
        "recalls from 0.01 on": ("for level in range(101)]", "for level in range(1, 102)]"),
        "averages over 100": ("sum(samples) / 101", "sum(samples) / 100"),
        "recall of the detections, not the objects": ("found / objects", "found / len(counting)"),
        "fails without detections": (", default=0.0)", ")"),
        "returns percent": ("sum(samples) / 101", "100 * sum(samples) / 101"),
    },
}
