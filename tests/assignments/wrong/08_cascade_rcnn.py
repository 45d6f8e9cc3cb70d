"""Wrong solutions of assignment 08: Cascade R-CNN."""

BEST = "best, which = ops.box_iou(boxes, objects).max(dim=1)"
LABELS = "torch.where(best >= u, classes[which], 0)"
SHARES = "[(label_at(boxes, objects, classes, u) > 0).float().mean().item() for u in thresholds]"
PROBABILITIES = "torch.stack([named.softmax(dim=1) for named in logits]).mean(dim=0)"
MOVED = "ops.clip_boxes(ops.decode_deltas(given, deltas, scale), size)"
DECODED = "ops.decode_deltas(given, deltas, scale)"
RESAMPLED = "ops.clip_boxes(ops.decode_deltas(boxes, deltas.detach(), scale), size)"
ENCODED = "ops.encode_deltas(boxes, objects[which], scale)"
LOOP = """        result.append((boxes, labels, ops.encode_deltas(boxes, objects[which], scale)))
        _, deltas = head(boxes)
        boxes = ops.clip_boxes(ops.decode_deltas(boxes, deltas.detach(), scale), size)
"""

WRONG = {
    "label": {
        "an IoU of exactly u is background": ("best >= u", "best > u"),
        "the best box of each object": (BEST, BEST.replace("dim=1", "dim=0")),
        "returns the object's number, not its class": ("classes[which]", "which"),
        "takes the first object over u, not the best": (
            BEST,
            "iou = ops.box_iou(boxes, objects)\n"
            "    best, which = iou.amax(dim=1), (iou >= u).float().argmax(dim=1)",
        ),
        "fails without objects": ("if len(objects) == 0:", "if False:"),
        "background is -1": ("classes[which], 0)", "classes[which], -1)"),
        "returns whether the box is positive": ("return " + LABELS, "return best >= u"),
        "returns floats": (
            "return " + LABELS,
            "return torch.where(best >= u, classes[which].float(), 0.0)",
        ),
        "counts instead of shares": (".float().mean().item() for u", ".sum().item() for u"),
        "counts background as positive": ("classes, u) > 0)", "classes, u) >= 0)"),
        "shares of the positives at the first threshold": (
            SHARES,
            "[(label_at(boxes, objects, classes, u) > 0).sum().item() / max(\n"
            "        1, (label_at(boxes, objects, classes, thresholds[0]) > 0).sum().item()\n"
            "    ) for u in thresholds]",
        ),
        "shares in percent": (".float().mean().item() for u", ".float().mean().item() * 100 for u"),
    },
    "at-test": {
        "returns float64": (PROBABILITIES, PROBABILITIES + ".double()"),
        "softmax of the mean logits": (
            PROBABILITIES,
            "torch.stack(logits).mean(dim=0).softmax(dim=1)",
        ),
        "adds the probabilities up": (".mean(dim=0)", ".sum(dim=0)"),
        "softmax over the boxes": ("softmax(dim=1)", "softmax(dim=0)"),
        "the last head's probabilities only": (PROBABILITIES, "logits[-1].softmax(dim=1)"),
        "every head gets the first boxes": ("        boxes = ops.clip", "        moved = ops.clip"),
        "all heads share the first weights": (
            DECODED,
            "ops.decode_deltas(given, deltas, weights[0])",
        ),
        "decodes without weights": (DECODED, "ops.decode_deltas(given, deltas, (1, 1, 1, 1))"),
        "does not clip": (MOVED, DECODED),
        "clips only at the end": (
            f"        boxes = {MOVED}\n",
            f"        boxes = {DECODED}\n    boxes = ops.clip_boxes(boxes, size)\n",
        ),
        "clips to (W, H)": ("scale), size)", "scale), size[::-1])"),
        "official: scores for the last output": ("head(given)[0]", "head(boxes)[0]"),
        "ignores the variant": ('variant == "official"', "False"),
        "always the official variant": ('variant == "official"', "True"),
        "official: the last head's scores alone": (
            "logits = [head(given)[0] for head in heads]",
            "logits = logits[-1:]",
        ),
        "divides by two, however many heads": (".mean(dim=0)", ".sum(dim=0) / 2"),
    },
    "targets": {
        "returns float64": (ENCODED, ENCODED + ".double()"),
        "moves the boxes by the target": (
            "ops.decode_deltas(boxes, deltas.detach(), scale)",
            "ops.decode_deltas(boxes, result[-1][2], scale)",
        ),
        "lets gradients through the boxes": ("deltas.detach()", "deltas"),
        "the first threshold for all stages": ("best >= u", "best >= thresholds[0]"),
        "labels once, for all stages": (
            f"labels = {LABELS}",
            f"labels = {LABELS} if stage == 0 else result[0][1]",
        ),
        "does not clip": (RESAMPLED, "ops.decode_deltas(boxes, deltas.detach(), scale)"),
        "keeps emptied boxes": ("if stage > 0:", "if False:"),
        "removes empty boxes before stage 1 too": ("if stage > 0:", "if True:"),
        "removes a box only if both sides are empty": (".all(dim=1)]", ".any(dim=1)]"),
        "encodes with the first weights": (ENCODED, ENCODED.replace("scale", "weights[0]")),
        "encodes without weights": (ENCODED, ENCODED.replace("scale", "(1, 1, 1, 1)")),
        "decodes with the next stage's weights": (
            "deltas.detach(), scale)",
            "deltas.detach(), weights[min(stage + 1, len(weights) - 1)])",
        ),
        "encodes from the object to the box": (
            ENCODED,
            "ops.encode_deltas(objects[which], boxes, scale)",
        ),
        "returns the boxes after the correction": (
            LOOP,
            f"        encoded = {ENCODED}\n"
            "        _, deltas = head(boxes)\n"
            f"        boxes = {RESAMPLED}\n"
            "        result.append((boxes, labels, encoded))\n",
        ),
        "returns positive boxes only": (
            "result.append((boxes,",
            "rows = labels > 0\n"
            "        boxes, labels, which = boxes[rows], labels[rows], which[rows]\n"
            "        result.append((boxes,",
        ),
        "an IoU of exactly u is background": ("best >= u", "best > u"),
        "returns the object's number, not its class": ("classes[which], 0)", "which + 1, 0)"),
        "encodes from where the box was at first": (
            ENCODED,
            "ops.encode_deltas(\n"
            "            result[0][0][: len(boxes)] if result else boxes, objects[which], scale)",
        ),
        "loses the background after the first stage": (
            "_, deltas = head(boxes)",
            "boxes = boxes[labels > 0]\n        _, deltas = head(boxes)",
        ),
    },
}
