"""Wrong solutions of assignment 04: fully convolutional networks."""

RESHAPED = "weight.reshape(len(weight), channels, k, k)"
CONVOLVED = "return F.conv2d(features, weight.reshape(len(weight), channels, k, k), bias)"
PADDING_CUT = "y[:, :, padding : y.shape[2] - padding, padding : y.shape[3] - padding]"
REACHES = "reach_r, reach_c = stride * (height - 1) + 1, stride * (width - 1) + 1"
COUNTED = "counted = ~torch.isin(true, torch.tensor(ignored))"
OUTER = "torch.outer(rows, columns)"
TABLE = "bincount(minlength=classes**2).reshape(classes, classes)"
UNION = "table.sum(0) + table.sum(1) - table.diagonal()"
MEAN = "float((true_positives[union > 0] / union[union > 0]).mean())"
ENLARGED = "return conv_transpose2d(scores[None], kernel, stride=stride, groups=classes)[0]"

WRONG = {
    "dense-scores": {
        "returns float64": (CONVOLVED, CONVOLVED + ".double()"),
        "forgets the bias": (", bias)", ")"),
        "bias scaled twice": (", bias)", ", 2 * bias)"),
        "reads the weight as [O, k, k, C]": (
            RESHAPED,
            "weight.reshape(len(weight), k, k, channels).permute(0, 3, 1, 2)",
        ),
        "kernel with rows and columns swapped": (RESHAPED, RESHAPED + ".transpose(2, 3)"),
        "kernel turned by 180 degrees": (RESHAPED, RESHAPED + ".flip(2, 3)"),
        "pads the map": (", bias)", ", bias, padding=k // 2)"),
        "moves on by whole windows": (", bias)", ", bias, stride=k)"),
        "swaps input and output channels": (
            RESHAPED,
            "weight.reshape(channels, len(weight), k, k).transpose(0, 1)",
        ),
        "adds a ReLU": (CONVOLVED, CONVOLVED + ".relu()"),
        "runs the layer on the top left window only": (
            CONVOLVED,
            "return F.linear(features[:, :, :k, :k].flatten(1), weight, bias)[:, :, None, None]",
        ),
        "returns the first map of the batch only": (CONVOLVED, CONVOLVED + "[:1]"),
    },
    "conv-transpose": {
        "returns float64": ("y = x.new_zeros(", "y = x.double().new_zeros("),
        "padding 0 cuts everything, as [0:-0]": (
            PADDING_CUT,
            "y[:, :, padding:-padding, padding:-padding]",
        ),
        "cuts the padding at the front only": (PADDING_CUT, "y[:, :, padding:, padding:]"),
        "cuts the padding at the end only": (
            PADDING_CUT,
            "y[:, :, : y.shape[2] - padding, : y.shape[3] - padding]",
        ),
        "cuts twice the padding": (
            PADDING_CUT,
            "F.pad(y, (-2 * padding,) * 4)",
        ),
        "ignores padding": (PADDING_CUT, "y"),
        "adds the bias twice": ("y + bias[:, None, None]", "y + 2 * bias[:, None, None]"),
        "adds the sum of all biases everywhere": ("y + bias[:, None, None]", "y + bias.sum()"),
        "forgets the bias": ("y if bias is None else y + bias[:, None, None]", "y"),
        "forgets the bias if there are groups": (
            "y if bias is None",
            "y if bias is None or groups > 1",
        ),
        "a stamp overwrites what lies below it": ("] += stamps", "] = stamps"),
        "ignores the stride": ("    (batch, _, height", "    stride = 1\n    (batch, _, height"),
        "every part of the inputs stamps onto all outputs": (
            "parts = x.unflatten(1, (groups, -1))  # [B, G, C/G, H, W]\n"
            "    kernels = weight.unflatten(0, (groups, -1))",
            "parts = x.unflatten(1, (1, -1)).expand(-1, groups, -1, -1, -1)\n"
            "    kernels = weight.unflatten(0, (1, -1)).expand(groups, -1, -1, -1, -1)",
        ),
        "interleaves the outputs of the groups": (
            "stamps.flatten(1, 2)",
            "stamps.transpose(1, 2).flatten(1, 2)",
        ),
        "turns the kernel": ("kernels[..., i, j]", "kernels[..., kh - 1 - i, kw - 1 - j]"),
        "takes every kernel for square": (
            "(_, per_group, kh, kw) = x.shape, weight.shape",
            "(_, per_group, kh, _) = x.shape, weight.shape\n    kw = kh",
        ),
        "swaps height and width": (
            REACHES,
            REACHES.replace("reach_r, reach_c", "reach_c, reach_r"),
        ),
        "stamps the first input channel only": (
            "parts, kernels[..., i, j])",
            "parts[:, :, :1], kernels[:, :1, :, i, j])",
        ),
        "works for one output channel only": ("per_group, reach_r", "1, reach_r"),
    },
    "bilinear-kernel": {
        "the tip lies on a cell, at the stride": ("s - 0.5", "s"),
        "the kernel sums to 1": (OUTER, OUTER + " / (rows.sum() * columns.sum())"),
        "returns float64": ("torch.arange(2 * s)", "torch.arange(2 * s, dtype=torch.float64)"),
        "has a side of 2s - 1": ("torch.arange(2 * s)", "torch.arange(2 * s - 1)"),
        "a tent wider by one cell": (".abs() / s ", ".abs() / (s + 1) "),
        "adds the two tents": (OUTER, "(rows[:, None] + columns) / 2"),
        "returns the tent of one direction": (OUTER, "columns"),
        "a tent in one direction only": (OUTER, "columns.expand(len(rows), -1).clone()"),
        "swaps down and across": (OUTER, "torch.outer(columns, rows)"),
        "enlarges by the first stride both ways": (OUTER, "torch.outer(rows, rows)"),
    },
    "mean-iou": {
        "the table is float32": (TABLE, TABLE + ".float()"),
        "the mean is a tensor": (MEAN, MEAN.removeprefix("float")),
        "rows are the prediction": (
            "true[counted] * classes + predicted[counted]",
            "predicted[counted] * classes + true[counted]",
        ),
        "takes ignored pixels for background": (
            COUNTED,
            "true = torch.where(true == 255, 0, true)\n    counted = true != 255",
        ),
        "ignores by the predicted label": (COUNTED, COUNTED.replace("true", "predicted")),
        "ignores 255 only": (COUNTED, "counted = true != 255"),
        "ignores the first label of the list only": (COUNTED, "counted = true != ignored[0]"),
        "the table is too small if the last class is absent": (
            TABLE,
            "bincount().reshape(classes, classes)",
        ),
        "counts ignored pixels as class 255": (COUNTED, "counted = torch.ones_like(true).bool()"),
        "counts right pixels only": (COUNTED, COUNTED + " & (true == predicted)"),
        "divides by all classes": (MEAN, "float((true_positives / union.clamp(min=1)).mean())"),
        "0 / 0 for absent classes": (MEAN, "float((true_positives / union).mean())"),
        "leaves out classes that are never true": (
            MEAN,
            "float((true_positives / union)[table.sum(1) > 0].mean())",
        ),
        "leaves out classes that are never predicted": (
            MEAN,
            "float((true_positives / union)[table.sum(0) > 0].mean())",
        ),
        "counts the diagonal twice in the union": (UNION, "table.sum(0) + table.sum(1)"),
        "divides by the true pixels (recall)": (UNION, "table.sum(1)"),
        "divides by the predicted pixels (precision)": (UNION, "table.sum(0)"),
        "sums all classes before dividing": (
            MEAN,
            "float(true_positives.sum() / union.sum())",
        ),
        "pixel accuracy": (MEAN, "float(true_positives.sum() / table.sum())"),
    },
    "fuse": {
        "returns float64": (
            "return cut(enlarge(total, 8), 4, size)",
            "return cut(enlarge(total, 8), 4, size).double()",
        ),
        "forgets score16": ("score16 + cut", "cut"),
        "forgets score8": ("score8 + cut", "cut"),
        "forgets score32": (
            "score16 + cut(enlarge(score32, 2), 1, score16.shape[1:])",
            "score16",
        ),
        "does not cut the front after the first enlarging": (
            "cut(enlarge(score32, 2), 1,",
            "cut(enlarge(score32, 2), 0,",
        ),
        "does not cut the front after the second enlarging": (
            "cut(enlarge(total, 2), 1,",
            "cut(enlarge(total, 2), 0,",
        ),
        "cuts the whole stride after the last enlarging": (
            "cut(enlarge(total, 8), 4, size)",
            "cut(enlarge(total, 8), 8, size)",
        ),
        "does not cut the front after the last enlarging": (
            "cut(enlarge(total, 8), 4, size)",
            "cut(enlarge(total, 8), 0, size)",
        ),
        "cuts one cell at each end, whatever the next map's size": (
            "cut(enlarge(score32, 2), 1, score16.shape[1:])",
            "enlarge(score32, 2)[:, 1:-1, 1:-1]",
        ),
        "cuts four pixels at each end, whatever the image's size": (
            "cut(enlarge(total, 8), 4, size)",
            "enlarge(total, 8)[:, 4:-4, 4:-4]",
        ),
        "mixes the classes": (
            "kernel = bilinear_kernel(stride, stride).to(scores).expand(classes, 1, -1, -1)\n"
            "        " + ENLARGED,
            "kernel = bilinear_kernel(stride, stride).to(scores).expand(classes, classes, -1, -1)\n"
            "        return conv_transpose2d(scores[None], kernel, stride=stride)[0]",
        ),
        "repeats cells instead of blending them": (
            ENLARGED,
            'nearest = F.interpolate(scores[None], scale_factor=stride, mode="nearest")[0]\n'
            "        return F.pad(nearest, (stride // 2,) * 4)",
        ),
        "takes F.interpolate, which treats the border otherwise": (
            ENLARGED,
            'blended = F.interpolate(scores[None], scale_factor=stride, mode="bilinear")[0]\n'
            "        return F.pad(blended, (stride // 2,) * 4)",
        ),
        "swaps height and width in the cut": (
            "scores[:, front : front + like[0], front : front + like[1]]",
            "scores[:, front : front + like[1], front : front + like[0]]",
        ),
    },
}
