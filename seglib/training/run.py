"""One run of the training loop: its model, optimiser, data and files, and its next step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NoReturn

import torch

from seglib import distributed
from seglib.data.loading import Batch, Samples, batches
from seglib.errors import SeglibError
from seglib.metrics.dataset import LabelledImages
from seglib.models.base import Segmenter
from seglib.training.checkpoint import FILE_NAME, Checkpoint
from seglib.training.config import TrainConfig
from seglib.training.ema import Ema
from seglib.training.finite import first_nonfinite, moments
from seglib.training.history import History, Progress
from seglib.training.interrupt import Interruption
from seglib.training.log import RunLog, step_row, validation_row
from seglib.training.optimizer import build_optimizer, set_learning_rate
from seglib.training.preflight import check_batch_fits, check_learnable
from seglib.training.random_state import rng_state, set_rng_state
from seglib.training.resume import load_checkpoint, restore, settings_of, warn_of_changes
from seglib.training.samples import AUGMENTATIONS, MemorySource, describe, one_ahead
from seglib.training.speed import memory_format, settle
from seglib.training.step import NotFiniteError, train_step
from seglib.training.validation import validate

OnStep = Callable[[Progress], object]
MODEL_NAME = "model.safetensors"


class Run:
    """One process's part of a run. `finish` carries out the remaining steps."""

    def __init__(
        self,
        model: Segmenter,
        dataset: Samples,
        config: TrainConfig,
        device: torch.device,
        validation: LabelledImages | None = None,
        resume: bool = False,
        command: str = "",
    ) -> None:
        """Prepare everything; see `train` for the arguments and errors."""
        self.model, self.validation, self.command = model.to(device), validation, command
        self.source = MemorySource(dataset, model.tasks)
        check_batch_fits(self.source, config.batch_size)
        check_learnable(model, self.source, dataset)
        self.data = describe(dataset)
        self.checkpoint_file = config.out and config.out / FILE_NAME
        saved = load_checkpoint(self.checkpoint_file, config, self.data) if resume else None
        config = replace(config, device=device.type)  # type: ignore[arg-type]
        self.config = config = self._settled(config, saved)
        model.to(memory_format=memory_format(config))
        self.optimizer = build_optimizer(model, config)
        self.ema = Ema(model, config.ema) if config.ema else None
        self.history = History(config=config)
        self.step = self._saved_step = 0
        if saved is not None:
            self._restore(saved)
            warn_of_changes(saved, device)
        distributed.broadcast_state(model)
        self._start = time.perf_counter() - (self.history.seconds or [0.0])[-1]
        self._cpu_start = time.process_time() - self.history.cpu_seconds

    def finish(self, on_step: OnStep | None = None) -> History:
        """Carry out the remaining steps, validate and save; returns the whole history."""
        self.log = RunLog(self.config.out if distributed.rank() == 0 else None, self.history)
        with Interruption() as interruption:
            self._validate_when_due()  # the validation at which a resumed run stopped
            for batch in self._readable(one_ahead(self._batches(self.config, self.step))):
                progress = self._next_step(batch)
                if on_step is not None:
                    on_step(progress)
                interrupted = distributed.in_any_process(interruption.asked)
                self._after_step(interrupted)
                if interrupted and self.step < self.config.steps:
                    raise KeyboardInterrupt
        if self.ema is not None:
            self.model.load_state_dict(self.ema.state)
        self.model.eval()
        self._write_model()
        return self.history

    def _settled(self, config: TrainConfig, saved: Checkpoint | None) -> TrainConfig:
        """Decide the settings that are open, as in the saved run if there is one."""
        if saved is None:
            return settle(config, self.model, lambda: next(self._batches(config, 0)))
        before = settings_of(saved)
        return replace(config, precision=before.precision, channels_last=before.channels_last)

    def _batches(self, config: TrainConfig, start: int) -> Iterator[Batch]:
        return batches(
            self.source,
            config.batch_size,
            seed=config.seed,
            steps=config.steps,
            start_step=start,
            transform=AUGMENTATIONS[self.model.config.augmentation] if config.augment else None,
            rank=distributed.rank(),
            world_size=distributed.world_size(),
            num_workers=config.workers,
        )

    def _readable(self, items: Iterator[Batch]) -> Iterator[Batch]:
        """The same batches; if one cannot be read, save the finished steps and raise the error."""
        while True:
            batch, fault = None, None
            try:
                batch = next(items, None)
            except Exception as error:  # a data set may raise anything
                fault = error
            if distributed.in_any_process(fault is not None):
                self._stop_for(fault or SeglibError("another process could not read its batch"))
            if batch is None:
                return
            yield batch

    def _stop_for(self, fault: Exception) -> NoReturn:
        """Save the finished steps and raise the error, with advice on how to continue."""
        if self.step > self._saved_step:
            self._save()
        if isinstance(fault, SeglibError | OSError):
            raise SeglibError(f"{fault}{self._how_to_continue('fix it')}") from fault
        raise fault

    def _how_to_continue(self, first: str) -> str:
        """How to continue after an error, beginning with `first`, if this run has a checkpoint."""
        if not self._saved_step or self.checkpoint_file is None:
            return ""
        saved = f"{self.checkpoint_file} contains the run up to step {self._saved_step}"
        return f"; {saved}: {first}, then continue with --resume"

    def _restore(self, saved: Checkpoint) -> None:
        assert self.checkpoint_file is not None
        restore(saved, self.checkpoint_file, self.model, self.optimizer, self.ema)
        self.history = History.from_dict({**saved.history, "config": self.config.to_dict()})
        self.step = self._saved_step = saved.step
        set_rng_state(saved.rng[distributed.rank()])

    def _next_step(self, batch: Batch) -> Progress:
        config = self.config
        lr = config.learning_rate(self.step)
        set_learning_rate(self.optimizer, lr)
        try:
            losses = train_step(
                self.model,
                batch.images,
                batch.targets,
                self.optimizer,
                clip=config.clip,
                precision=config.precision,
            )
        except NotFiniteError as error:
            raise SeglibError(
                f"step {self.step + 1}: {error}: look at them, or {self._advice()}"
            ) from error
        if self.ema is not None:
            self.ema.update(self.model, self.step)
        self.step += 1
        seconds = round(time.perf_counter() - self._start, 3)
        progress = Progress(self.step, config.steps, sum(losses.values()), losses, lr, seconds)
        self.history.append(progress)
        self._log(step_row(self.history, -1) | {"step": self.step})
        return progress

    def _log(self, row: dict[str, Any]) -> None:
        try:
            self.log.add(row)
        except SeglibError as error:
            raise SeglibError(f"{error}{self._how_to_continue('make it writable')}") from error

    def _advice(self) -> str:
        """Advice on a step that failed; the last good checkpoint is left unchanged."""
        kept = ""
        if self._saved_step and self.checkpoint_file is not None:
            kept = (
                f"; the last good checkpoint is {self.checkpoint_file}, of step {self._saved_step}"
            )
        return f"try a smaller lr than {self.config.lr}{kept}"

    def _after_step(self, interrupted: bool) -> None:
        """Save and validate if the step is due for it."""
        every = self.config.checkpoint_every
        if interrupted or (every and self.step % every == 0) or self._validation_asked():
            self._save()  # before a validation, so that a failure there loses no step
        self._validate_when_due()

    def _validation_asked(self) -> bool:
        every = self.config.eval_every
        last = self.step == self.config.steps
        return last or bool(every and self.step and self.step % every == 0)

    def _validate_when_due(self) -> None:
        """Validate if the settings require it and the history has no figures yet; save these."""
        done = [row["step"] for row in self.history.validation[-1:]]
        if self.validation is None or not self._validation_asked() or done == [self.step]:
            return
        if distributed.rank() == 0:
            limit = None if self.step == self.config.steps else self.config.eval_limit
            figures = validate(self.model, self.ema, self.validation, limit)
            self.history.validation.append({"step": float(self.step), **figures})
            self._log(validation_row(self.history.validation[-1]))
        distributed.gather(None)  # the other processes wait here
        self._save()

    def _save(self) -> None:
        """Write the checkpoint in process 0, with the random states of all processes.

        Raises:
            SeglibError: the weights or the optimiser's state are not finite, or the file cannot be
                written; the earlier checkpoint is kept.
        """
        distributed.broadcast_state(self.model)
        self._refuse_nonfinite()
        self.history.cpu_seconds = round(time.process_time() - self._cpu_start, 1)
        rng = distributed.gather(rng_state())
        if distributed.rank() == 0 and self.checkpoint_file is not None:
            saved = Checkpoint(
                step=self.step,
                model=self.model.state_dict(),
                # The count distinguishes a lost state from one that never existed.
                optimizer={**self.optimizer.state_dict(), "weights": len(self.optimizer.state)},
                ema=None if self.ema is None else self.ema.state,
                rng=rng,
                history=self.history.to_dict(),
                data=self.data,
                threads=torch.get_num_threads(),
            )
            try:
                saved.save(self.checkpoint_file)
            except SeglibError as error:
                raise SeglibError(f"{error}{self._how_to_continue('make it writable')}") from error
        self._saved_step = self.step
        distributed.gather(None)  # no process continues, or ends, before the file exists

    def _refuse_nonfinite(self) -> None:
        """Refuse weights that are not finite, which can happen although all losses were finite."""
        parts = [("weights", self.model.state_dict()), *moments(self.model, self.optimizer)]
        if self.ema is not None:
            parts.append(("averaged weights", self.ema.state))
        for kind, tensors in parts:
            name = first_nonfinite(tensors)
            if name is not None:
                raise SeglibError(
                    f"step {self.step}: the {kind} of {name} are not finite: {self._advice()}"
                )

    def _write_model(self) -> None:
        """Write the final weights as a model that `seglib.pretrained.load` reads."""
        if distributed.rank() != 0 or self.config.out is None:
            return
        from seglib import pretrained

        figures = self.history.validation[-1] if self.history.validation else {}
        notes: dict[str, Any] = {"command": self.command, "figures": figures, "data": self.data}
        pretrained.save(self.model, self.config.out / MODEL_NAME, notes)
