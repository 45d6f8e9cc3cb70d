"""Wrong solutions of assignment 12: DETR."""

PROJECTED = "projected = x @ weight.T + bias"
HEADS = "projected.unflatten(-1, (heads, -1)).transpose(1, 2)"
SCORES = "q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])"
BLOCK = "scores = scores.masked_fill(blocked, -math.inf)"
MIXED = "mixed = scores.softmax(dim=-1) @ v"
OUT = "mixed.transpose(1, 2).flatten(2) @ out_weight.T + out_bias"
CHUNKS = "in_weight.chunk(3), in_bias.chunk(3), strict=True"
COST = "-probabilities[:, labels] + 5 * distance - 2 * overlap"
SOFTMAX = "logits.softmax(dim=1)"
DISTANCE = "(boxes[:, None] - truth).abs().sum(dim=-1)"
CORNERS = "ops.cxcywh_to_xyxy(boxes)[:, None], ops.cxcywh_to_xyxy(truth)"
GIOU = "shared / union - (around - union) / around"
PAIRS = "rows, columns = ops.hungarian(cost)"
WANTED = "wanted[rows] = labels[columns]"
ALIVE = "alive = (scores > threshold).nonzero()[:, 0]"
RESULT = "alive[mask_logits[alive].argmax(dim=0)]"
COUNTS = "counts = torch.bincount(winner.flatten(), minlength=len(alive))"
LARGE = "counts > smallest"

WRONG = {
    "attention": {
        "does not divide by the root of d": (SCORES, "q @ k.transpose(-2, -1)"),
        "divides by d": (SCORES, "q @ k.transpose(-2, -1) / q.shape[-1]"),
        "divides by the root of D instead of the head's channels": (
            SCORES,
            SCORES.replace("q.shape[-1]", "query.shape[-1]"),
        ),
        "softmax over the queries": (MIXED, MIXED.replace("dim=-1", "dim=-2")),
        "softmax over the heads": (MIXED, MIXED.replace("dim=-1", "dim=1")),
        "blocks after the softmax": (
            f"{BLOCK}\n    {MIXED}",
            "pass\n    weights = scores.softmax(dim=-1)\n    if blocked is not None:\n"
            "        weights = weights.masked_fill(blocked, 0)\n    mixed = weights @ v",
        ),
        "a blocked key gets the score 0": (BLOCK, BLOCK.replace("-math.inf", "0.0")),
        "a blocked key gets the score -1": (BLOCK, BLOCK.replace("-math.inf", "-1.0")),
        "True means allowed": (BLOCK, BLOCK.replace("blocked,", "~blocked,")),
        "ignores what is blocked": ("if blocked is not None:", "if False:"),
        "leaves out the biases of the projections": (PROJECTED, "projected = x @ weight.T"),
        "projects with the matrix, not its transpose": (PROJECTED, "projected = x @ weight + bias"),
        "the order of the matrices is values, keys, queries": (
            CHUNKS,
            "in_weight.chunk(3)[::-1], in_bias.chunk(3)[::-1], strict=True",
        ),
        "keys projected as values": (
            CHUNKS,
            "[in_weight.chunk(3)[n] for n in (0, 1, 1)], in_bias.chunk(3), strict=True",
        ),
        "cuts heads with the channels interleaved": (
            HEADS,
            "projected.unflatten(-1, (-1, heads)).permute(0, 3, 1, 2)",
        ),
        "cuts the sequence instead of the channels": (
            HEADS,
            "projected.reshape(len(x), heads, x.shape[1], -1)",
        ),
        "one head only": (HEADS, "projected[:, None]"),
        "puts the heads' channels in another order": (
            OUT,
            "mixed.permute(0, 2, 3, 1).flatten(2) @ out_weight.T + out_bias",
        ),
        "leaves out the last matrix": (OUT, "mixed.transpose(1, 2).flatten(2)"),
        "leaves out the last bias": (OUT, OUT.replace(" + out_bias", "")),
        "the mean of the heads": (
            OUT,
            "mixed.mean(dim=1).repeat(1, 1, heads) @ out_weight.T + out_bias",
        ),
        "values taken from the unprojected input": (
            "q, k, v = parts",
            "q, k, v = parts\n    v = value.unflatten(-1, (heads, -1)).transpose(1, 2)",
        ),
        "returns float64": (OUT, f"({OUT}).double()"),
    },
    "cost": {
        "logits instead of probabilities": (SOFTMAX, "logits"),
        "sigmoid instead of softmax": (SOFTMAX, "logits.sigmoid()"),
        "softmax over the queries": (SOFTMAX, "logits.softmax(dim=0)"),
        "softmax without the class no object": (
            SOFTMAX,
            "torch.cat([logits[:, :1], logits[:, 1:].softmax(dim=1)], dim=1)",
        ),
        "minus the logarithm of the probability": (
            SOFTMAX,
            "logits.log_softmax(dim=1)",
        ),
        "labels counted from 0": (COST, COST.replace("labels]", "labels - 1]")),
        "plus the probability": (COST, COST.replace("-probabilities", "probabilities")),
        "plus the overlap": (COST, COST.replace("- 2", "+ 2")),
        "weight 1 for the distance": (COST, COST.replace("5 * ", "")),
        "weights of distance and overlap exchanged": (
            COST,
            COST.replace("5 *", "9 *").replace("2 *", "5 *").replace("9 *", "2 *"),
        ),
        "the mean of the four distances": (DISTANCE, DISTANCE.replace("sum", "mean")),
        "the Euclidean distance": (DISTANCE, "(boxes[:, None] - truth).norm(dim=-1)"),
        "the distance of corners": (
            DISTANCE,
            "(ops.cxcywh_to_xyxy(boxes)[:, None] - ops.cxcywh_to_xyxy(truth)).abs().sum(dim=-1)",
        ),
        "the distance of centres alone": (
            DISTANCE,
            "(boxes[:, None] - truth)[..., :2].abs().sum(dim=-1)",
        ),
        "IoU instead of the generalized IoU": (GIOU, "shared / union"),
        "centre and sides read as corners": (CORNERS, "boxes[:, None], truth"),
        "two negative sides make an area": (".clamp(min=0).prod", ".prod"),
        "the gap divided by the union": (GIOU, GIOU.replace("/ around", "/ union")),
        "the box around both instead of the gap": (GIOU, "shared / union - union / around"),
        "each query learns its nearest object": (
            PAIRS,
            "rows = torch.arange(len(logits))\n    columns = cost.argmin(dim=1) if len(labels) "
            "else rows[:0]\n    rows = rows[: len(columns)]",
        ),
        "each object takes its nearest query": (
            PAIRS,
            "rows, columns = cost.argmin(dim=0), torch.arange(len(labels))",
        ),
        "the dearest pairing": (PAIRS, "rows, columns = ops.hungarian(-cost)"),
        "rows and columns exchanged": (
            WANTED,
            "wanted[columns] = labels[columns]",
        ),
        "labels in the order of the file": (WANTED, "wanted[rows] = labels"),
        "returns the index of the object": (WANTED, "wanted[rows] = columns + 1"),
        "unmatched queries learn -1": (
            "torch.zeros(len(logits), dtype=torch.int64)",
            "torch.full((len(logits),), -1)",
        ),
        "the costs transposed": ("return cost, wanted", "return cost.T, wanted"),
        "returns the classes alone": ("return cost, wanted", "return wanted"),
        "the classes as floats": ("return cost, wanted", "return cost, wanted.float()"),
    },
    "map": {
        "ignores the scores": (ALIVE, "alive = torch.arange(len(scores))"),
        "the threshold is always 0.85": (ALIVE, ALIVE.replace("threshold", "0.85")),
        "at least the threshold": (ALIVE, ALIVE.replace(">", ">=")),
        "indices within those that take part": (RESULT, "mask_logits[alive].argmax(dim=0)"),
        "the smallest logit wins": (RESULT, RESULT.replace("argmax", "argmin")),
        "the highest score wins": (
            RESULT,
            "alive[(mask_logits[alive].gt(0) * scores[alive][:, None, None]).argmax(dim=0)]",
        ),
        "logits times scores": (
            "if len(alive):",
            "mask_logits = mask_logits * scores[:, None, None]\n    if len(alive):",
        ),
        "pixels with negative logits are left out": (
            RESULT,
            f"torch.where(mask_logits[alive].amax(dim=0) > 0, {RESULT}, -1)",
        ),
        "keeps small segments": (LARGE, "counts >= 0"),
        "keeps small segments that won a pixel": (LARGE, "counts > 0"),
        "smallest is always 4": (LARGE, LARGE.replace("smallest", "4")),
        "keeps segments of exactly the smallest size": (LARGE, LARGE.replace(">", ">=")),
        "counts the pixels above 0 instead of those won": (
            COUNTS,
            "counts = (mask_logits[alive] > 0).sum(dim=(1, 2))",
        ),
        "pixels of removed queries stay empty": (
            f"alive = alive[{LARGE}]",
            f"large = {LARGE}\n        return torch.where(large[winner], alive[winner], -1)",
        ),
        "removes one at a time": (
            f"alive = alive[{LARGE}]",
            "while len(alive):\n            winner = mask_logits[alive].argmax(dim=0)\n"
            "            counts = torch.bincount(winner.flatten(), minlength=len(alive))\n"
            "            drop = int(counts.argmin())\n"
            "            if counts[drop] > smallest:\n                break\n"
            "            alive = torch.cat([alive[:drop], alive[drop + 1 :]])",
        ),
        "0 where nobody remains": (
            "torch.full(mask_logits.shape[1:], -1)",
            "torch.zeros(mask_logits.shape[1:], dtype=torch.int64)",
        ),
        "counts queries from 1": (RESULT, RESULT + " + 1"),
        "queries sorted by score": (
            ALIVE,
            "order = scores.argsort(descending=True)\n"
            "    scores, mask_logits = scores[order], mask_logits[order]\n    " + ALIVE,
        ),
        "rows and columns exchanged": (RESULT, RESULT + ".T"),
        "returns floats": (RESULT, RESULT + ".float()"),
    },
}
