"""Golden hashes: what training computes, to the bit, before and after a change of the code.

    python tests/golden.py write      # before: build/golden.json
    python tests/golden.py compare    # after: names what differs, exit code 1

For every method, and for options that no method sets, twelve iterations of a small demo run: the hash of its batches, of its
losses and of its whole state. Then the streets, a retrieval and its interval. Hashes hold on one machine and one torch.
"""

import hashlib
import json
import sys
from dataclasses import replace
from pathlib import Path

import torch

from metabin.config import METHODS, demo
from metabin.data import cameras_as_domains
from metabin.evaluate import bootstrap_interval, evaluate
from metabin.streets import World, make_streets, query_gallery
from metabin.train import Run, train

FILE = Path("build/golden.json")
ITERATIONS = 12
OPTIONS = {
    "second order": dict(order=2),
    "second order, MLDG": METHODS["bin_mldg"] | dict(order=2),
    "options of the losses": dict(smooth="others", centroid="normalized", mining="any identity"),
    "mean mining, all losses": dict(
        mining="mean", meta_train="id + scatter + shuffle + 0.5 triplet", meta_test="id + triplet"
    ),
    "pooled, augmented": dict(
        base_sampling="pooled", colour_jitter=0.2, erasing=0.5, meta_ids_per_domain=2
    ),
    "few domains, late start": dict(
        domains_per_batch=3, meta_start=4, decay_norms=True, bias_lr_scale=2.0
    ),
    "half precision": dict(precision="bf16"),
    "MobileNetV2": dict(backbone="mobilenetv2_x1_0"),
    "switchable": dict(algorithm="joint", norm="switchable_ln"),
    "IN from (1, 0)": dict(algorithm="joint", norm="in_fresh"),
}


class Digest:
    """A SHA-256 of tensors and plain values in the order in which they come."""

    def __init__(self):
        self.sha = hashlib.sha256()

    def add(self, value) -> None:
        if isinstance(value, torch.Tensor):
            tensor = value.detach().cpu().contiguous()
            self.sha.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
            self.sha.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
        elif isinstance(value, dict):
            for key in value:
                self.sha.update(str(key).encode())
                self.add(value[key])
        elif isinstance(value, (list, tuple)):
            for item in value:
                self.add(item)
        else:
            self.sha.update(repr(value).encode())

    def hex(self) -> str:
        return self.sha.hexdigest()[:16]


def watch(batches, digest: Digest) -> None:
    """Add every batch that is drawn to the digest."""
    draw = batches.draw

    def drawn():
        result = draw()
        for batch in result:
            digest.add([batch.images, batch.pids, batch.domains])
        return result

    batches.draw = drawn


def hash_run(config, images) -> dict[str, str]:
    batches, losses, state = Digest(), Digest(), Digest()
    run = Run(replace(config, iterations=ITERATIONS), images)
    watch(run.base_batches, batches)
    watch(run.meta_batches, batches)
    for step in train(run):
        losses.add({name: step.losses[name] for name in sorted(step.losses)})
        losses.add([step.lr, step.inner_lr])
    state.add(run.model.state_dict())
    state.add([s.get("momentum_buffer") for s in run.optimizer.state_dict()["state"].values()])
    state.add([run.base_batches.get_state(), run.meta_batches.get_state()])
    return {"batches": batches.hex(), "losses": losses.hex(), "state": state.hex()}


def hashes() -> dict:
    torch.set_num_threads(1)
    world = World()
    images = make_streets(world, range(5), 8, images_per_camera=4)
    result = {"streets": Digest()}
    result["streets"].add([images.images, images.pids, images.camids, images.domains])
    result["streets"] = result["streets"].hex()
    for name, changes in (METHODS | OPTIONS).items():
        result[name] = hash_run(demo(**changes), images)
    single = cameras_as_domains(make_streets(world, [0], 8, 8, images_per_camera=4))
    result["cameras as domains"] = hash_run(demo(meta_train_share=0.5), single)

    run = Run(demo(iterations=ITERATIONS), images)
    for _ in train(run):
        pass
    query, gallery = query_gallery(make_streets(world, [5, 6], 20, images_per_camera=2))
    retrieval = evaluate(run.model, query, gallery)
    digest = Digest()
    digest.add([retrieval.values(metric) for metric in ("mAP", "mINP", "rank1", "rank5")])
    digest.add(bootstrap_interval(retrieval.values("mAP"), retrieval.pids))
    result["retrieval"] = digest.hex()
    return result


def main(mode: str) -> None:
    found = hashes()
    if mode == "write":
        FILE.parent.mkdir(exist_ok=True)
        FILE.write_text(json.dumps(found, indent=1) + "\n")
        return
    before = json.loads(FILE.read_text())
    wrong = [name for name in before | found if before.get(name) != found.get(name)]
    for name in wrong:
        print(f"{name}: {before.get(name)} -> {found.get(name)}")
    print(f"{len(found) - len(wrong)} of {len(before)} equal to the bit")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main(sys.argv[1])
