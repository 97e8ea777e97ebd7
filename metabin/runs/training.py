"""What `python -m metabin train` does: train to the end or to a signal, and keep what is needed."""

import argparse
import json
import os
import shlex
import sys
import time
from dataclasses import asdict
from pathlib import Path

import torch
from tqdm import tqdm

from metabin.kernels import collectives
from metabin.runs import processes
from metabin.runs.checkpoints import load_newest, save_model, save_newest, versions
from metabin.runs.compiling import compile_extractor
from metabin.runs.flags import configure
from metabin.runs.progress import Progress, stop_signals
from metabin.runs.sources import open_images
from metabin.train import Run, train

WEIGHTS = "model.safetensors"
FIRST_SAVE = 10  # seconds of training before the first checkpoint


def say(line: str) -> None:
    """Print a line to stderr, in the first process."""
    if collectives.rank() == 0:
        print(line, file=sys.stderr)


def job(options: argparse.Namespace) -> int:
    """What the flags ask for; returns the number of the signal that stopped it, or 0."""
    if options.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when a GPU is first used
        torch.use_deterministic_algorithms(True)
    config, folder = configure(options), run_folder(options)
    with (
        processes.join_processes() as device,
        processes.writing_folder(folder) as writable,
        # Opened before the images, to find out early where it can't be written.
        Progress(writable, options.log_every, config.iterations) as progress,
    ):
        images = processes.after_the_first(lambda: open_images(options, config.size, say))
        run = Run(config, images, device, options.sync_stats)
        say(run.placement)
        if collectives.world_size() > 1:
            whose = "the whole batch's" if run.sync_stats else "each one's own"
            count = f"{collectives.world_size()} processes on {run.device.type}"
            say(f"{count}, batch statistics are {whose}")
        if options.compile != "no":
            compile_extractor(run, options.compile)
            say(f"the extractor is compiled ({options.compile}): the first iteration takes minutes")
        resume(run, folder, progress)
        try:
            number = run_to_end(run, folder, progress, options.save_every)
        except (OSError, FloatingPointError) as error:
            message = getattr(error, "strerror", None) or str(error)
            if isinstance(error, OSError):
                message = f"cannot write to {folder}: {message}"
            kept = "there is no checkpoint yet"
            if progress.saved:
                kept = f"the last good checkpoint is {progress.saved}"
            raise type(error)(f"{message}; {kept}") from error
        if number:
            saved = f"stopped at step {run.iteration}, saved as {progress.saved}"
            say(f"{saved}: the same command goes on from there")
        elif collectives.rank() == 0:
            print(f"weights for retrieval: {folder / WEIGHTS}")
            if options.protocol and not options.targets:
                words = shlex.join(test_words(options))
                print(f"to test them: python -m metabin test {words}")
    return number


def resume(run: Run, folder: Path, progress: Progress) -> None:
    """Put run and progress back where the newest checkpoint was made, if there is one."""
    progress.saved, state = load_newest(folder, run, say) or (None, {})
    progress.begin(run.iteration, state.get("metrics", {}))
    if progress.saved:
        other = ""
        if state["versions"] != versions(run.device.type):
            other = f" (saved with {state['versions']}: not to the bit)"
        say(f"resumed from step {run.iteration}{other}")


def run_to_end(run: Run, folder: Path, progress: Progress, save_every: float) -> int:
    """Train to the end or to a signal, whose number is returned, with metrics and checkpoints."""
    config = run.config
    keep_at = max(1, round(config.keep_at * config.iterations))
    due = time.monotonic() + min(FIRST_SAVE, save_every)
    hidden = None if collectives.rank() == 0 else True  # None: where there is no terminal
    bar = tqdm(initial=run.iteration, total=config.iterations, disable=hidden, dynamic_ncols=True)
    with stop_signals() as caught, bar:
        for step in train(run):
            progress.pending.append(step)
            bar.update()
            last = step.iteration == config.iterations
            if step.iteration % progress.every == 0 or last:
                pace, losses = progress.write(step, run.model)
                if bar.disable:
                    say(f"{pace}  {losses}")
                else:
                    bar.set_postfix_str(losses)
            if step.iteration == keep_at:
                progress.fetch_losses()
                processes.by_first(lambda: save_weights(folder, run))
            signals = caught[0] if caught else 0
            stop, late = processes.largest(signals, time.monotonic() > due)
            if stop or last or late:
                save_checkpoint(folder, run, progress)
                due = time.monotonic() + save_every
            if stop and not last:
                return int(stop)
    return 0


def save_checkpoint(folder: Path, run: Run, progress: Progress) -> None:
    """Save a checkpoint; raises FloatingPointError where losses or weights are not finite.

    After any error the checkpoint before stays as it is.
    """
    progress.fetch_losses()
    state = run.model.state_dict()
    wrong = [name for name, tensor in state.items() if not tensor.isfinite().all()]
    wrong = collectives.gather_lists(wrong)
    if wrong:
        raise FloatingPointError(f"{wrong[0]} is not finite after step {run.iteration}")
    progress.saved = save_newest(folder, run, progress.state())


def save_weights(folder: Path, run: Run) -> None:
    """Save the weights for retrieval, as they are now, and what they learned from."""
    notes = {
        "step": str(run.iteration),
        "config": json.dumps(asdict(run.config)),
        "domains": json.dumps(run.images.names),
        "images": repr(run.images),
        "digests": json.dumps(run.digests),
    }
    save_model(folder / WEIGHTS, run.model, run.config.norm, run.config.backbone, **notes)


def run_folder(options: argparse.Namespace) -> Path:
    return options.run_dir or Path("build/runs", options.profile)


def test_words(options: argparse.Namespace) -> list[str]:
    """The words of the command that tests what a run has left."""
    folder = run_folder(options)
    words = ["--weights", folder / WEIGHTS, "--json", folder / "result.json"]
    roots = options.data_root or ()
    words += ["--data-root", *roots] if len(roots) == 1 else []
    words += ["--protocol", options.protocol] if options.protocol else []
    words += ["--target", options.target] if options.target else []
    words += ["--targets", *options.targets] if options.targets else []
    words += [] if options.camera_rule else ["--no-camera-rule"]
    words += ["--held-out", options.held_out] if options.held_out else []
    words += ["--opt-in", *options.opt_in] if options.opt_in else []
    return [str(word) for word in words]
