"""Where the paper leaves a choice, or its released code chose otherwise; presets made of that.

    preset("paper", seed=1)              # the text; where it is silent, the first value of two
    preset("released")                   # what the authors' code does
    preset("paper", "single_source")     # Section 4.2: one data set, its cameras as domains
    preset("released", profile="demo")   # the same choices for StreetNet on the streets

Rows without fields are choices that no configuration has to make; they say what is done. Every
row names the code that makes the difference, and a test of it.
"""

from dataclasses import dataclass, replace

from metabin.config import PROFILES, Config


@dataclass(frozen=True)
class Choice:
    """One row. `fields`: a Config field -> (its value in preset "paper", in preset "released")."""

    number: str
    topic: str
    fields: dict[str, tuple]
    code: str  # of the package, "meta.meta_step"
    test: str  # "file::test", in tests/
    note: str


# fmt: off
TABLE = (
    Choice("D1", "inner step",
           {"inner_lr_low": (0.001, 0.0001), "inner_lr_high": (0.1, 0.01),
            "inner_cycle": (0.05, 0.05)},
           "meta.cyclic_inner_lr", "test_meta::test_the_papers_inner_step_size_by_hand",
           "The released code multiplies the cycle by rho's own step size."),
    Choice("D2", "half precision", {"precision": ("auto", "auto")},
           "meta.base_step",
           "test_meta::test_scaled_gradients_survive_half_precision_and_an_overflow_moves_nothing",
           "Not imitated: in the released code the inner loss's scale cancels itself, and small "
           "gradients become zero."),
    Choice("D3", "base batches", {"base_sampling": ("balanced", "pooled")},
           "data.batches.Batches",
           "test_train::test_a_pooled_batch_is_as_large_and_leaves_domains_out",
           "The paper takes 16 images of each domain; the released code 20 identities from the "
           "pool of all domains."),
    Choice("D4", "Eq. 7's samples", {"mining": ("other identity", "any identity")},
           "losses.shuffle_loss", "test_losses::test_a_loss_equals_its_loop_in_the_papers_letters",
           "The text doesn't say how n- is chosen. It matters where a person appears in several "
           "domains."),
    Choice("D5", "Eq. 6's centroid", {"centroid": ("raw", "normalized")},
           "losses.scatter_loss", "test_losses::test_a_loss_equals_its_loop_in_the_papers_letters",
           "Of raw features, or of features at unit length."),
    Choice("D6", "iterations", {"iterations": (184_900, 184_900)},
           "train.train", "test_config::test_the_defaults_are_section_4_1",
           "5 epochs are 9,245 iterations (Appendix 1), so 100 are 184,900."),
    Choice("D7", "which model", {"keep_at": (1.0, 100_000 / 184_900)},
           "train.train", "test_command::test_the_weights_that_are_kept_are_those_of_keep_at",
           "The published model is iteration 100,000, and its author says that the best result "
           "was chosen."),
    Choice("D8", "optimizer",
           {"warmup_from": (0.1, 0.01), "meta_start": (0, 10), "bias_lr_scale": (1.0, 2.0),
            "decay_norms": (False, True)},
           "train.Run", "test_train::test_weights_decay_and_norms_do_only_when_told_and_rho_never",
           "The rest of Section 4.1 is the same in both."),
    Choice("D9", "splits of the targets", {},
           "datasets.splits.splits_of",
           "test_splits::test_the_command_writes_the_committed_files_byte_by_byte",
           "Seeded and committed; the released code draws PRID's and i-LIDS' anew on every "
           "machine."),
    Choice("D10", "resuming", {},
           "runs.checkpoints.load_run",
           "test_checkpoint::test_a_resumed_run_goes_on_to_the_bit_as_if_it_had_never_stopped",
           "To the bit; the released code forgets cycle, scale and random state."),
    Choice("D11", "seeds", {"seed": (0, 0)},
           "train.Run",
           "test_train::test_the_same_seed_gives_the_same_weights_to_the_bit_and_another_seed_others",
           "A parameter here, and results come from several."),
    Choice("D12", "rho in [0, 1]", {},
           "meta.meta_step",
           "test_meta::test_rho_at_and_beyond_the_ends_of_its_range_keeps_its_gradient",
           "Clamped after every step; rho' is clamped straight through, or nothing would ever "
           "leave rho = 1."),
    Choice("D13", "label smoothing", {"smooth": ("all", "others")},
           "losses.id_loss",
           "test_losses::test_the_id_loss_equals_its_loop_with_both_smoothings",
           "eps / M on all M identities, or eps / (M - 1) on the wrong ones."),
    Choice("D14", "BN in the meta phases", {},
           "norm.frozen_running_stats", "test_meta::test_the_meta_phases_move_rho_and_nothing_else",
           "The sub-batch's own statistics, running ones held: the same in both."),
    Choice("D15", "which feature", {},
           "networks.model.ReIDModel",
           "test_model::test_the_embedding_is_the_necks_output_and_an_images_own_matter_in_eval_mode",
           "Metric losses before the neck, cross-entropy and retrieval after it, cosine, last "
           "stride 1: the same in both."),
    Choice("D16", "IN's affine pair", {"decay_norms": (False, True)},
           "norm.BatchInstanceNorm2d",
           "test_train::test_weights_decay_and_norms_do_only_when_told_and_rho_never",
           "Starts at (1, 0). Where it decays (D8), it shrinks as long as rho = 1 gives it no "
           "gradient (lesson 03)."),
    Choice("D17", "cross-domain", {},
           "data.images.cameras_as_domains",
           "test_presets::test_cameras_as_domains_are_section_4_2",
           "CAMERAS, below: cross-entropy in both meta losses, half of the cameras, jitter, and "
           "the released code's 120 epochs."),
    Choice("D18", "without meta-learning", {"joint_rho_scale": (1.0, 1.0)},
           "train.train",
           "test_train::test_joint_training_moves_rho_with_its_own_step_size_and_keeps_it_in_range",
           "Plain joint SGD, rho's step size that of the weights. The released code's double "
           "backward is not imitated."),
    Choice("D19", '"fixed" beta of Tables 3 and 4', {},
           "meta.cyclic_inner_lr", "test_presets::test_a_fixed_inner_step_is_the_top",
           "Not given anywhere: the range's top, by inner_lr_low = inner_lr_high = 0.1."),
    Choice("D20", "without episode separation", {},
           "meta.mldg_step",
           "test_meta::test_mldg_moves_everything_along_the_base_loss_plus_the_loss_at_theta_prime",
           'METHODS["one_episode"]: MLDG with the two meta losses of MetaBIN; rho moves as the '
           "weights do, by SGD with momentum."),
    Choice("D21", "MLDG", {"order": (1, 1)},
           "meta.mldg_step",
           "test_meta::test_mldg_moves_everything_along_the_base_loss_plus_the_loss_at_theta_prime",
           'METHODS["bn_mldg"] and others: first order; without cycle by inner_lr_low = '
           "inner_lr_high = lr."),
    Choice("D22", "supervised MetaBIN", {},
           "data.images.cameras_as_domains",
           "test_presets::test_a_camera_setting_trains_on_people_who_walk_through_several_cameras",
           "One data set, so its cameras are the domains."),
    Choice("D23", "the IN baseline", {},
           "networks.normalizations.instance_norm",
           "test_normalizations::test_each_layer_computes_what_its_name_says",
           'norm="in": affine, from the BN it replaces; "in_fresh": from (1, 0). From random '
           "weights they are the same."),
    Choice("D24", "split of the domains", {"meta_train_share": (0.6, 0.6)},
           "samplers.split_domains",
           "test_samplers::test_every_split_into_the_sizes_asked_for_happens_about_equally_often",
           "3 and 2 of 5 domains; half of the cameras."),
)

# Section 4.2: cameras as domains, half of them for meta-train. The numbers are for Market-1501,
# with 12,936 images for 100 epochs, or 120, of 135 iterations. DukeMTMC-reID has outer_lr 0.5
# (released: an inner range of 5e-4 to 0.05, too) and 172 iterations in an epoch. The released code
# puts 96 images in a batch.
CAMERAS = {
    "domains_per_batch": (0, 6), "meta_train_share": (0.5, 0.5), "outer_lr": (0.2, 0.2),
    "keep_at": (1.0, 1.0),
    "meta_train": ("id + scatter + shuffle + triplet",) * 2, "meta_test": ("id + triplet",) * 2,
    "inner_lr_low": (0.001, 2e-4), "inner_lr_high": (0.1, 0.02), "inner_cycle": (0.05, 5 / 120),
    "iterations": (13_475, 16_170), "warmup": (0.1, 10 / 120),
    "milestones": ((0.4, 0.7), (50 / 120, 90 / 120)),
}
SETTINGS = {
    "multi_source": {},
    # The strength of the jitter is given nowhere.
    "single_source": CAMERAS | {"backbone": ("resnet50",) * 2, "colour_jitter": (0.2,) * 2},
    "supervised": CAMERAS,  # Table 5's right half: train and test on one data set
}
# fmt: on
PRESETS = ("paper", "released")


def preset(
    name: str = "paper", setting: str = "multi_source", profile: str = "paper", **changes
) -> Config:
    """A configuration by the table, made smaller by a profile; the changes come last.

    `name` is one of PRESETS, `setting` one of SETTINGS. Raises ValueError for other names.
    """
    for value, names in ((name, PRESETS), (setting, SETTINGS), (profile, PROFILES)):
        if value not in names:
            raise ValueError(f"no {value!r}: choose one of {', '.join(names)}")
    column = PRESETS.index(name)
    values = {}
    for fields in (*(row.fields for row in TABLE), SETTINGS[setting]):
        for field, pair in fields.items():
            values[field] = pair[column]
    smaller = dict(PROFILES[profile])
    if "iterations" in smaller:
        smaller["iterations"] = min(smaller["iterations"], values["iterations"])
    return replace(Config(), **values | smaller | changes)
