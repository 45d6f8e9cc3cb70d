"""Wrong solutions of assignment 02: convolution."""

PADDED = "F.pad(x, (padding, padding, padding, padding))"
ROWS_COLUMNS = "(height - kh) // stride + 1, (width - kw) // stride + 1"
STACKED = "torch.stack(views, dim=2).reshape(batch, channels * kh * kw, oh * ow)"
SHIFTS = "top, left = i * dilation, j * dilation"
CHUNKED = "zip(weight.chunk(groups), columns.chunk(groups, dim=1), strict=True)"
JOINED = "torch.cat(parts, dim=1).reshape(len(x), out_channels, oh, ow)"
BIASED = "y if bias is None else y + bias[:, None, None]"
COLUMNS = "columns = im2col(x, (kh, kw), stride, padding, dilation)"

WRONG = {
    "conv2d-stride": {
        "turns the kernel": ("* w).sum()", "* w.flip(0, 1)).sum()"),
        "swaps rows and columns of the kernel": ("* w).sum()", "* w.T).sum()"),
        "ignores the stride": ("top, left = r * stride, c * stride", "top, left = r, c"),
        "ignores the stride in the columns": ("c * stride", "c"),
        "ignores padding": (PADDED, "x"),
        "pads after counting the places": (
            f"x = {PADDED}\n    (height, width), (kh, kw) = x.shape, w.shape",
            f"(height, width), (kh, kw) = x.shape, w.shape\n    x = {PADDED}",
        ),
        "pads at the top and on the left only": (PADDED, "F.pad(x, (padding, 0, padding, 0))"),
        "pads the columns only": (PADDED, "F.pad(x, (padding, padding))"),
        "repeats the border instead of zeros": (
            PADDED,
            'F.pad(x[None], (padding,) * 4, mode="replicate")[0]',
        ),
        "one row and column short": (
            ROWS_COLUMNS,
            "(height - kh) // stride, (width - kw) // stride",
        ),
        "takes the kernel for square": (
            "(height, width), (kh, kw) = x.shape, w.shape",
            "(height, width), kh = x.shape, w.shape[0]\n    kw = kh",
        ),
        "takes the image for square": (
            ROWS_COLUMNS,
            "((height - kh) // stride + 1 for _ in range(2))",
        ),
        "swaps rows and columns of the output": (
            "y[r, c] =",
            "y[c % rows, r % columns] =",
        ),
        "takes the mean of the window": ("* w).sum()", "* w).mean()"),
    },
    "im2col": {
        "ignores dilation": (SHIFTS, "top, left = i, j"),
        "counts places without dilation": (
            "(height - dilation * (kh - 1) - 1) // stride + 1",
            "(height - kh) // stride + 1",
        ),
        "dilation in the rows only": (SHIFTS, "top, left = i * dilation, j"),
        "cells before channels": (
            STACKED,
            "torch.stack(views, dim=1).reshape(batch, channels * kh * kw, oh * ow)",
        ),
        "returns windows as rows": (STACKED, STACKED + ".transpose(1, 2)"),
        "kernel column by column": (
            "for i in range(kh):\n        for j in range(kw):",
            "for j in range(kw):\n        for i in range(kh):",
        ),
        "places column by column": (
            "x[:, :, rows, columns])",
            "x[:, :, rows, columns].transpose(2, 3))",
        ),
        "ignores padding": (PADDED, "x"),
        "ignores the stride in the columns": (
            "stride * (ow - 1) + 1, stride)",
            "ow, 1)",
        ),
        "slices end a step early": ("stride * (oh - 1) + 1, stride)", "stride * (oh - 1), stride)"),
        "slices as long as the output, in steps": ("stride * (ow - 1) + 1, stride)", "ow, stride)"),
        "stride and dilation swapped": (
            "x = F.pad",
            "stride, dilation = dilation, stride\n    x = F.pad",
        ),
        "returns the first image only": (STACKED, STACKED + "[:1]"),
        "the kernel is square": ("kh, kw = kernel_size", "kh = kw = kernel_size[0]"),
        "one channel only": (
            "x[:, :, rows, columns]",
            "x[:, :1, rows, columns].expand(-1, channels, -1, -1)",
        ),
    },
    "conv2d": {
        "forgets the bias": (BIASED, "y"),
        "adds the bias along the width": (BIASED, "y if bias is None else y + bias.sum()"),
        "adds the bias as it is": (BIASED, "y if bias is None else y + bias"),
        "fails without a bias": (BIASED, "y + bias[:, None, None]"),
        "ignores groups: every output sees all inputs": (
            CHUNKED,
            "((w.repeat(1, groups, 1, 1), columns) for w in weight.chunk(groups))",
        ),
        "the first group's inputs for all": (
            CHUNKED,
            "((w, columns.chunk(groups, dim=1)[0]) for w in weight.chunk(groups))",
        ),
        "the first group's kernels for all": (
            CHUNKED,
            "((weight.chunk(groups)[0], c) for c in columns.chunk(groups, dim=1))",
        ),
        "interleaves the outputs of the groups": (
            JOINED,
            "torch.stack(parts, dim=2).reshape(len(x), out_channels, oh, ow)",
        ),
        "turns the kernel": ("w.flatten(1) @ c", "w.flip(2, 3).flatten(1) @ c"),
        "swaps the output's height and width": (
            JOINED,
            "torch.cat(parts, dim=1).reshape(len(x), out_channels, ow, oh)",
        ),
        "ignores dilation": (COLUMNS, "columns = im2col(x, (kh, kw), stride, padding)"),
        "ignores padding": (COLUMNS, "columns = im2col(x, (kh, kw), stride, 0, dilation)"),
        "returns the first map of the batch": (
            "return y if bias",
            "y = y[:1]\n    return y if bias",
        ),
    },
    "backward": {
        "ignores the stride": ("### BEGIN SOLUTION", "### BEGIN SOLUTION\n    stride = 1"),
        "turns the kernel in dx": ("g * w[i, j]", "g * w[kh - 1 - i, kw - 1 - j]"),
        "stamps overwrite each other": ("dx[rows, columns] += ", "dx[rows, columns] = "),
        "returns (dw, dx)": ("return dx, dw", "return dw, dx"),
        "ignores the stride in the rows": (
            "slice(i, i + stride * (oh - 1) + 1, stride)",
            "slice(i, i + oh)",
        ),
        "rows of the slices as long as g, in steps": (
            "slice(i, i + stride * (oh - 1) + 1, stride)",
            "slice(i, i + oh, stride)",
        ),
        "columns of the slices as long as g, in steps": (
            "slice(j, j + stride * (ow - 1) + 1, stride)",
            "slice(j, j + ow, stride)",
        ),
        "kernel as a square": (
            "(kh, kw) = g.shape, w.shape",
            "(kh, _) = g.shape, w.shape\n    kw = kh",
        ),
        "dw with the kernel instead of the image": (
            "(g * x[rows, columns]).sum()",
            "(g * w[i, j]).sum()",
        ),
        "dw is a mean": ("(g * x[rows, columns]).sum()", "(g * x[rows, columns]).mean()"),
        "dw keeps the last output only": (
            "(g * x[rows, columns]).sum()",
            "(g * x[rows, columns])[-1, -1]",
        ),
        "dx is multiplied by the image": ("g * w[i, j]", "g * w[i, j] * x[rows, columns]"),
        "dx forgets the outer gradient": ("g * w[i, j]", "w[i, j]"),
        "dw swaps rows and columns": ("dw[i, j] =", "dw.flatten()[j * kh + i] ="),
        "changes x in place": ("return dx, dw", "return x.copy_(dx), dw"),
    },
}
