"""One run of the training loop: its model, optimiser, data and files, and its next step."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from seglib.data.loading import Batch, Samples, batches
from seglib.errors import SeglibError
from seglib.metrics.dataset import LabelledImages
from seglib.models.base import Segmenter
from seglib.structures import Target
from seglib.training import checkpoint as saving
from seglib.training import distributed, precision
from seglib.training.checkpoint import Checkpoint
from seglib.training.config import History, Progress, TrainConfig, differences
from seglib.training.ema import Ema
from seglib.training.interrupt import Interruption
from seglib.training.log import RunLog, step_row, validation_row
from seglib.training.losses import compute_losses
from seglib.training.optimizer import build_optimizer
from seglib.training.samples import AUGMENTATION, MemorySource, describe, one_ahead

OnStep = Callable[[Progress], object]
MODEL_NAME = "model.safetensors"


class Run:
    """One process's part of a run. `go` does the steps that are left."""

    def __init__(
        self,
        model: Segmenter,
        dataset: Samples,
        config: TrainConfig,
        validation: LabelledImages | None = None,
        resume: bool = False,
        command: str = "",
    ) -> None:
        """Prepare everything; see `train` for the arguments and errors."""
        self.rank, self.world = distributed.rank_and_world()
        self.model, self.validation, self.command = model, validation, command
        self.source = MemorySource(dataset, model.tasks)
        self.data = describe(dataset)
        self.checkpoint_file = config.out and config.out / saving.FILE_NAME
        saved = self._saved(config) if resume else None
        self.config = config = self._settled(config, saved)
        model.to(memory_format=precision.memory_format(config))
        self.optimizer = build_optimizer(model, config)
        self.ema = Ema(model, config.ema) if config.ema else None
        self.history = History(config=config)
        self.step = 0
        if saved is not None:
            self._restore(saved)
            if saved.threads != torch.get_num_threads():
                warnings.warn(
                    f"the run had {saved.threads} threads and now has {torch.get_num_threads()}: "
                    "it goes on, but its last digits will differ from an uninterrupted run's",
                    stacklevel=3,
                )
        distributed.share_state(model)
        self._start = time.perf_counter() - (self.history.seconds or [0.0])[-1]
        self._cpu_start = time.process_time() - self.history.cpu_seconds

    def go(self, on_step: OnStep | None = None) -> History:
        """Do the steps that are left, validate, save; returns the whole course."""
        self.log = RunLog(self.config.out if self.rank == 0 else None, self.history)
        with Interruption() as interruption:
            self._validate_when_due()  # the validation at which a resumed run stopped
            for batch in one_ahead(self._batches(self.config, self.step)):
                progress = self._train_step(batch)
                if on_step is not None:
                    on_step(progress)
                interrupted = distributed.anywhere(interruption.asked)
                self._after_step(interrupted)
                if interrupted and self.step < self.config.steps:
                    raise KeyboardInterrupt
        if self.ema is not None:
            self.model.load_state_dict(self.ema.state)
        self.model.eval()
        self._write_model()
        return self.history

    def _saved(self, config: TrainConfig) -> Checkpoint:
        if self.checkpoint_file is None:
            raise SeglibError("resuming needs the folder of the run: set out")
        saved = Checkpoint.load(self.checkpoint_file)
        before = TrainConfig.from_dict(saved.history["config"])
        for name in differences(before, config):
            raise SeglibError(
                f"{self.checkpoint_file} was made with {name}={getattr(before, name)!r}, not "
                f"{getattr(config, name)!r}: resume with the same settings, or start another run"
            )
        if saved.data != self.data:
            raise SeglibError(
                f"{self.checkpoint_file} was trained on {saved.data['images']} images of "
                f"{saved.data['name'] or 'another dataset'}, and these are others: "
                "resume with the same data"
            )
        if len(saved.rng) != self.world:
            raise SeglibError(
                f"{self.checkpoint_file} was made by {len(saved.rng)} process(es), "
                f"not {self.world}: resume with as many"
            )
        return saved

    def _settled(self, config: TrainConfig, saved: Checkpoint | None) -> TrainConfig:
        """Decide what the settings leave open: as the saved run did, or by timing."""
        if saved is not None:
            before = TrainConfig.from_dict(saved.history["config"])
            return replace(config, precision=before.precision, channels_last=before.channels_last)
        if config.precision != "auto" and config.channels_last is not None:
            return config
        first = next(self._batches(config, 0))
        fastest = precision.choose(self.model, first.images, first.targets, config)
        chosen: list[TrainConfig] = distributed.gather(fastest)
        return chosen[0]

    def _batches(self, config: TrainConfig, start: int) -> Iterator[Batch]:
        return batches(
            self.source,
            config.batch_size,
            seed=config.seed,
            steps=config.steps,
            start_step=start,
            transform=AUGMENTATION if config.augment else None,
            rank=self.rank,
            world_size=self.world,
        )

    def _restore(self, saved: Checkpoint) -> None:
        try:
            self.model.load_state_dict(saved.model)
            self.optimizer.load_state_dict(saved.optimizer)
            if self.ema is not None and saved.ema is not None:
                self.ema.load(saved.ema)
        except (RuntimeError, ValueError) as error:
            first = str(error).strip().splitlines()
            raise SeglibError(
                f"{self.checkpoint_file} holds another model: {' '.join(first[:2])}"
            ) from error
        self.history = History.from_dict({**saved.history, "config": self.config.to_dict()})
        self.step = saved.step
        saving.set_rng_state(saved.rng[self.rank])

    def _train_step(self, batch: Batch) -> Progress:
        lr = self.config.learning_rate(self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        with precision.autocast(self.config):
            losses = compute_losses(self.model, batch.images, batch.targets)
            total = torch.stack(list(losses.values())).sum()
        total.backward()
        distributed.average_gradients(self.model.parameters())
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip or math.inf)
        values = distributed.average(torch.stack([v.detach().float() for v in losses.values()]))
        parts = dict(zip(losses, values.tolist(), strict=True))
        self._refuse_nonfinite(parts, float(norm), batch.targets)
        self.optimizer.step()
        if self.ema is not None:
            self.ema.update(self.model, self.step)
        self.step += 1
        seconds = round(time.perf_counter() - self._start, 3)
        progress = Progress(self.step, self.config.steps, sum(parts.values()), parts, lr, seconds)
        self.history.append(progress)
        self.log.add(step_row(self.history, -1) | {"step": self.step})
        return progress

    def _refuse_nonfinite(
        self, parts: dict[str, float], norm: float, targets: Sequence[Target]
    ) -> None:
        """Stop before the weights are spoilt; the last good checkpoint stays as it is."""
        bad = [f"{name} is {value}" for name, value in parts.items() if not math.isfinite(value)]
        if not bad and math.isfinite(norm):
            return
        shares = distributed.gather([target.image_id for target in targets])
        ids = [image_id for share in shares for image_id in share]
        kept = ""
        if self.checkpoint_file is not None and self.checkpoint_file.exists():
            kept = f"; the last good checkpoint is {self.checkpoint_file}"
        raise SeglibError(
            f"step {self.step + 1}: {', '.join(bad) or 'the gradient is not finite'} on images "
            f"{', '.join(map(str, ids))}: look at them, or try a smaller lr than "
            f"{self.config.lr}{kept}"
        )

    def _after_step(self, interrupted: bool) -> None:
        """Save and validate when it is time."""
        every = self.config.checkpoint_every
        if interrupted or (every and self.step % every == 0) or self._validation_asked():
            self._save()  # before a validation, whose failure must cost no step
        self._validate_when_due()

    def _validation_asked(self) -> bool:
        every = self.config.eval_every
        last = self.step == self.config.steps
        return last or bool(every and self.step and self.step % every == 0)

    def _validate_when_due(self) -> None:
        """Validate where the settings ask for it and the history has no figures yet; save them."""
        done = [row["step"] for row in self.history.validation[-1:]]
        if self.validation is not None and self._validation_asked() and done != [self.step]:
            self._validate(self.validation)
            self._save()

    def _validate(self, data: LabelledImages) -> None:
        """Evaluate in process 0 with averaged weights, leaving the random generators alone."""
        if self.rank == 0:
            from seglib.metrics.evaluate import evaluate

            averaged: AbstractContextManager[None] = (
                nullcontext() if self.ema is None else self.ema.averaged(self.model)
            )
            limit = None if self.step == self.config.steps else self.config.eval_limit
            with saving.random_state_kept(), averaged:
                self.model.eval()
                metrics = evaluate(self.model, data, limit=limit)
            figures = {k: v for k, v in metrics.figures.items() if not math.isnan(v)}
            self.history.validation.append({"step": float(self.step), **figures})
            self.log.add(validation_row(self.history.validation[-1]))
        distributed.gather(None)  # the other processes wait here

    def _save(self) -> None:
        """Write the checkpoint: process 0 writes, all contribute their random state."""
        distributed.share_state(self.model)
        self.history.cpu_seconds = round(time.process_time() - self._cpu_start, 1)
        rng = distributed.gather(saving.rng_state())
        if self.rank == 0 and self.checkpoint_file is not None:
            Checkpoint(
                step=self.step,
                model=self.model.state_dict(),
                optimizer=self.optimizer.state_dict(),
                ema=None if self.ema is None else self.ema.state,
                rng=rng,
                history=self.history.to_dict(),
                data=self.data,
                threads=torch.get_num_threads(),
            ).save(self.checkpoint_file)
        distributed.gather(None)  # nobody goes on, or ends, before the file is there

    def _write_model(self) -> None:
        """Write the final weights as a model that `seglib.pretrained.load` reads."""
        if self.rank != 0 or self.config.out is None:
            return
        from seglib import pretrained

        figures = self.history.validation[-1] if self.history.validation else {}
        notes: dict[str, Any] = {"command": self.command, "figures": figures, "data": self.data}
        pretrained.save(self.model, Path(self.config.out) / MODEL_NAME, notes)
