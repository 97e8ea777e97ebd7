"""`python -m metabin train`: a training run from the command line.

    python -m metabin train --method bin --run-dir build/runs/bin               # on the streets, on a laptop
    python -m metabin train --profile paper --data-root ~/reid --protocol no_duke
    torchrun --nproc-per-node 4 -m metabin train --profile paper ...            # on four GPUs: see metabin.kernels.processes

The same command goes on where it stopped. Its folder holds the last two checkpoints, metrics.jsonl with a line for every
`--log-every` steps, and in the end model.safetensors, the weights for retrieval.
Exit codes: 1 when the training diverged, 2 when something is wrong around it, 130 and 143 after Ctrl-C and SIGTERM.
"""

import argparse
import json
import os
import shlex
import sys
import time
import warnings
from dataclasses import asdict
from pathlib import Path

import torch
from tqdm import tqdm

from metabin.data.images import ImageSet, cameras_as_domains, relabel
from metabin.datasets import list_own
from metabin.datasets.load import load_images
from metabin.datasets.protocols import open_protocol
from metabin.kernels import processes as distributed
from metabin.runs.checkpoints import load_newest, save_model, save_newest, versions
from metabin.runs.compiling import compile_extractor
from metabin.runs.flags import configure, duke, parser, setting_of
from metabin.runs.progress import Progress, stop_signals
from metabin.streets import World, make_streets
from metabin.train import Run, train

CACHE, WEIGHTS = Path("build/cache"), "model.safetensors"
FIRST_SAVE = 10  # seconds of training before the first checkpoint


def say(line: str):
    if distributed.rank() == 0:
        print(line, file=sys.stderr)


def open_images(given: argparse.Namespace, size: tuple[int, int]) -> ImageSet:
    """The pictures to train on: a protocol's sources, people's own, or streets; cameras as domains where that is set."""
    cameras = setting_of(given) != "multi_source"
    if given.held_out and not given.protocol:
        raise ValueError("--held-out keeps identities of a protocol's sources: it needs --protocol")
    if given.protocol:
        if not given.data_root or len(given.data_root) > 1:
            raise ValueError(
                "--protocol needs one --data-root: the folder that holds the data sets"
            )
        found = open_protocol(
            given.protocol,
            given.data_root[0],
            size,
            CACHE,
            given.target,
            given.held_out,
            given.opt_in,
        )
        for name, reason in found.missing.items():
            say(f"{given.protocol} without {name}: {reason}")
        for line in (
            *found.remarks,
            *(f"DukeMTMC-reID is the source: {k} {v}" for k, v in duke(given).items()),
        ):
            say(line)
        images, cameras = (
            found.train,
            False,
        )  # it has made domains of cameras, where that is its setting
    elif given.data_root:
        with (
            warnings.catch_warnings()
        ):  # of a missing query or gallery, which training doesn't need
            warnings.simplefilter("ignore", UserWarning)
            listings = [listing for root in given.data_root for listing in list_own(root)]
        images = relabel(
            load_images([listing.part("train").people() for listing in listings], size, CACHE)
        )
    else:
        streets, num_cameras = ([0], 8) if cameras else (range(5), 2)
        images = relabel(make_streets(World(0, *size), streets, 120, num_cameras, cache=CACHE))
    return cameras_as_domains(images) if cameras else images


def evaluation(given: argparse.Namespace, folder: Path) -> str:
    """The command that tests what a protocol's run has left."""
    words = [
        "--weights",
        folder / WEIGHTS,
        "--data-root",
        given.data_root[0],
        "--protocol",
        given.protocol,
    ]
    words += ["--target", given.target] if given.target else []
    words += ["--held-out", given.held_out] if given.held_out else []
    words += ["--opt-in", *given.opt_in] if given.opt_in else []
    return f"python -m metabin test {shlex.join(map(str, words))} --json {shlex.quote(str(folder / 'result.json'))}"


def save(folder: Path, run: Run, progress: Progress):
    """A checkpoint, if losses and weights are finite; what fails here leaves the checkpoint before as it is."""
    progress.look()
    wrong = [name for name, tensor in run.model.state_dict().items() if not tensor.isfinite().all()]
    if wrong := distributed.joined(wrong):
        raise FloatingPointError(f"{wrong[0]} is not finite after step {run.iteration}")
    progress.saved = save_newest(folder, run, progress.state())


def keep_weights(folder: Path, run: Run):
    """The weights for retrieval, as they are now."""
    data = {"domains": json.dumps(run.images.names), "images": repr(run.images)}
    notes = {"step": str(run.iteration), "config": json.dumps(asdict(run.config))} | data
    save_model(folder / WEIGHTS, run.model, run.config.norm, run.config.backbone, **notes)


def go_on(run: Run, folder: Path, progress: Progress, save_every: float) -> int:
    """Train to the end or to a signal, whose number is returned, with metrics and checkpoints along the way."""
    config = run.config
    kept, due = (
        max(1, round(config.keep_at * config.iterations)),
        time.monotonic() + min(FIRST_SAVE, save_every),
    )
    quiet = None if distributed.rank() == 0 else True  # None: where there is no terminal
    bar = tqdm(initial=run.iteration, total=config.iterations, disable=quiet, dynamic_ncols=True)
    with stop_signals() as caught, bar:
        for step in train(run):
            progress.unseen.append(step)
            bar.update()
            last = step.iteration == config.iterations
            if step.iteration % progress.every == 0 or last:
                pace, losses = progress.write(step, run.model)
                say(f"{pace}  {losses}") if bar.disable else bar.set_postfix_str(losses)
            if step.iteration == kept:
                progress.look()
                distributed.by_first(lambda: keep_weights(folder, run))
            stop, late = distributed.largest(caught[0] if caught else 0, time.monotonic() > due)
            if stop or last or late:
                save(folder, run, progress)
                due = time.monotonic() + save_every
            if stop and not last:
                return int(stop)
    return 0


def resume(run: Run, folder: Path, progress: Progress):
    """Put the run and its progress back where the newest checkpoint was made, if there is one."""
    progress.saved, state = load_newest(folder, run, say) or (None, {})
    progress.begin(run.iteration, state.get("metrics", {}))
    if progress.saved:
        other = (
            state["versions"] != versions() and f" (saved with {state['versions']}: not to the bit)"
        )
        say(f"resumed from step {run.iteration}{other or ''}")


def job(given: argparse.Namespace) -> int:
    """What the flags ask for; returns the number of the signal that stopped it, or 0."""
    if given.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when a GPU is first used
        torch.use_deterministic_algorithms(True)
    config, folder = configure(given), given.run_dir or Path("build/runs", given.profile)
    with (
        distributed.processes() as device,
        distributed.own_folder(folder) as own,
        Progress(
            own, given.log_every, config.iterations
        ) as progress,  # first, to find out that it can't be written
    ):
        images = distributed.after_the_first(lambda: open_images(given, config.size))
        run = Run(config, images, device, given.sync_stats)
        say(run.placement)
        if distributed.world_size() > 1:
            whose = "the whole batch's" if run.sync_stats else "each one's own"
            say(
                f"{distributed.world_size()} processes on {run.device.type}, batch statistics are {whose}"
            )
        if given.compile != "no":
            compile_extractor(run, given.compile)
            say(f"the extractor is compiled ({given.compile}): the first iteration takes minutes")
        resume(run, folder, progress)
        try:
            number = go_on(run, folder, progress, given.save_every)
        except (OSError, FloatingPointError) as error:
            last = (
                f"the last good checkpoint is {progress.saved}"
                if progress.saved
                else "there is no checkpoint yet"
            )
            what = "" if isinstance(error, FloatingPointError) else f"cannot write to {folder}: "
            raise type(error)(
                f"{what}{getattr(error, 'strerror', None) or error}; {last}"
            ) from error
        if number:
            say(
                f"stopped at step {run.iteration}, saved as {progress.saved}: the same command goes on from there"
            )
        elif distributed.rank() == 0:
            print(f"weights for retrieval: {folder / WEIGHTS}")
            if given.protocol:
                print(f"to test them: {evaluation(given, folder)}")
    return number


def main(arguments: list[str] | None = None):
    """Train from the command line; the same command goes on where it stopped."""
    flags = parser(__doc__)
    given = flags.parse_args(arguments)
    if given.log_every < 1 or not given.save_every >= 0:
        flags.error(
            "--log-every takes a number of steps from 1, --save-every a number of seconds from 0"
        )
    line = (
        "{}\n" if distributed.is_first_here() else ""
    )  # of several processes, one on each machine says what is wrong
    try:
        number = job(given)
    except FloatingPointError as error:
        flags.exit(1, line.format(error))
    except (ValueError, OSError, ImportError) as error:
        flags.exit(2, line.format(error))
    except KeyboardInterrupt:
        flags.exit(130, line.format("stopped before the training began"))
    if number:
        sys.exit(128 + number)
