"""Wrong solutions of assignment 05: DeepMask."""

DISTANCE = "(middle - center).abs().amax(dim=-1)"
LONGER = "(boxes[:, 2:] - boxes[:, :2]).amax(dim=1)"
OCTAVES = "torch.log2(longer / (patch * 4 / 7)).abs()"
CODES = "codes = features.flatten(1) @ squeeze_weight.T + squeeze_bias"
MASKS = "return masks.reshape(-1, side, side)"
FACTORS = "return vt[:rank], u[:, :rank] * s[:rank]"
KERNEL = "squeeze_weight.reshape(len(squeeze_weight), len(features), k, k)"
MIDDLE = "stride * torch.stack([j, i], dim=-1).reshape(-1, 2) / factor"
BEST = "best = every.topk(min(count, len(every)))"
ANSWER = "return torch.cat(windows)[best.indices], best.values"

WRONG = {
    "label-windows": {
        "fails without boxes, since it stacks sides": (
            LONGER + "[None] / unit",
            "torch.stack([max(x1 - x0, y1 - y0) for x0, y0, x1, y1 in boxes])[None] / unit",
        ),
        "near in x or in y is enough": (DISTANCE, "(middle - center).abs().amin(dim=-1)"),
        "measures the straight distance": (DISTANCE, "(middle - center).norm(dim=-1)"),
        "measures distances in image pixels": (DISTANCE + " / unit", DISTANCE),
        "measures the longer side in image pixels": (LONGER + "[None] / unit", LONGER + "[None]"),
        "objects that are too small fit (no absolute value)": (
            OCTAVES,
            OCTAVES.removesuffix(".abs()"),
        ),
        "the canonical side is always 32": ("(patch * 4 / 7)", "32"),
        "compares ratios, not octaves": (OCTAVES, "(longer / (patch * 4 / 7) - 1).abs()"),
        "takes the natural logarithm": ("torch.log2", "torch.log"),
        "takes the width for the longer side": (LONGER, "(boxes[:, 2] - boxes[:, 0])"),
        "takes the shorter side": (LONGER, LONGER.replace("amax", "amin")),
        "negative only if both position and size are off": (
            "(distance > 2 * shift) | (octaves > 1)",
            "(distance > 2 * shift) & (octaves > 1)",
        ),
        "negative beyond one shift": ("(distance > 2 * shift)", "(distance > shift)"),
        "positive up to half an octave": ("octaves <= 0.25", "octaves <= 0.5"),
        "returns floats": (
            "positive.long() - negative.long()",
            "positive.float() - negative.float()",
        ),
        "returns objects by windows": (
            "return positive.long() - negative.long()",
            "return (positive.long() - negative.long()).T",
        ),
        "the shift is always 4": ("distance <= shift", "distance <= 4"),
    },
    "low-rank-masks": {
        "returns float64": (MASKS, MASKS + ".double()"),
        "puts a ReLU between the two maps": (
            CODES,
            "codes = (features.flatten(1) @ squeeze_weight.T + squeeze_bias).relu()",
        ),
        "writes masks column by column": (MASKS, MASKS + ".transpose(1, 2)"),
        "forgets the first bias": ("squeeze_weight.T + squeeze_bias", "squeeze_weight.T"),
        "forgets the second bias": ("decode_weight.T + decode_bias", "decode_weight.T"),
        "returns probabilities": (MASKS, MASKS + ".sigmoid()"),
        "returns masks as rows": (MASKS, "return masks"),
        "flattens cells before channels": (
            "features.flatten(1)",
            "features.permute(0, 2, 3, 1).flatten(1)",
        ),
        "works for one object only": (MASKS, "return masks[0].reshape(1, side, side)"),
    },
    "best-factors": {
        "returns float64": ("svd(matrix,", "svd(matrix.double(),"),
        "returns B before A": (FACTORS, "return u[:, :rank] * s[:rank], vt[:rank]"),
        "loses the singular values": (" * s[:rank]", ""),
        "uses the singular values twice": (
            "return vt[:rank], u",
            "return s[:rank, None] * vt[:rank], u",
        ),
        "keeps the smallest singular values": (
            FACTORS,
            "return vt[-rank:], u[:, -rank:] * s[-rank:]",
        ),
        "takes columns of V transposed": ("vt[:rank]", "vt.T[:rank]"),
        "keeps the first rows of the matrix": (
            FACTORS,
            "return matrix[:rank], torch.eye(len(matrix))[:, :rank]",
        ),
        "returns factors of full rank": (FACTORS, "return vt, u * s"),
        "takes the transposed matrix apart": ("svd(matrix,", "svd(matrix.T,"),
    },
    "slide-heads": {
        "returns float64": ("scores[0, 0]", "scores[0, 0].double()"),
        "pads the map": ("kernel, squeeze_bias)", "kernel, squeeze_bias, padding=k // 2)"),
        "reads the weight as [R, k, k, C]": (
            KERNEL,
            "squeeze_weight.reshape(len(squeeze_weight), k, k, -1).permute(0, 3, 1, 2)",
        ),
        "forgets the bias of the code": ("kernel, squeeze_bias)", "kernel)"),
        "swaps rows and columns of the kernel": (KERNEL, KERNEL + ".transpose(2, 3)"),
        "forgets the bias of the score": ("[:, :, None, None], score_bias)", "[:, :, None, None])"),
        "puts a ReLU before the score": ("F.conv2d(codes, score", "F.conv2d(codes.relu(), score"),
        "returns probabilities": ("scores[0, 0]", "scores[0, 0].sigmoid()"),
        "leaves the batch axis": ("return codes[0], scores[0, 0]", "return codes, scores"),
        "moves on by whole windows": ("kernel, squeeze_bias)", "kernel, squeeze_bias, stride=k)"),
    },
    "best-windows": {
        "swaps x and y": ("[j, i]", "[i, j]"),
        "does not divide the middle by the factor": (MIDDLE, MIDDLE.removesuffix(" / factor")),
        "multiplies by the factor": (
            ".reshape(-1, 2) / factor\n        half = patch / 2 / factor",
            ".reshape(-1, 2) * factor\n        half = patch / 2 * factor",
        ),
        "does not divide the side by the factor": ("patch / 2 / factor", "patch / 2"),
        "the middle lies half a stride further": (
            "stride * torch.stack([j, i], dim=-1).reshape(-1, 2)",
            "(stride * torch.stack([j, i], dim=-1).reshape(-1, 2) + stride / 2)",
        ),
        "takes the middle for the corner": (
            "[middle - half, middle + half]",
            "[middle, middle + 2 * half]",
        ),
        "ranks the last scale only": (
            BEST,
            "windows, every = windows[-1:], score_maps[-1].flatten()\n    " + BEST,
        ),
        "best ones in reading order": (
            ANSWER,
            "rows = best.indices.sort().values\n    return torch.cat(windows)[rows], every[rows]",
        ),
        "fails if fewer windows exist than asked for": ("min(count, len(every))", "count"),
        "lowest scores first": (
            "every.topk(min(count, len(every)))",
            "every.topk(min(count, len(every)), largest=False)",
        ),
        "reads the maps column by column": (
            "scores.flatten() for scores",
            "scores.T.flatten() for scores",
        ),
        "the patch is always 56": ("patch / 2 / factor", "28 / factor"),
        "the stride is always 8": ("stride * torch.stack", "8 * torch.stack"),
    },
}
