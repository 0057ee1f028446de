"""How readings of the geometry ended: the kinds, and the sentence of each."""

from __future__ import annotations

from ..results import Ending

FELL = (
    "in {trials} trials of up to {steps:1 step|{steps} steps} on copies the loss fell fastest near "
    "{rate:.2g}"
)
NO_FALL = (
    "none: the loss fell in no trial of {steps:1 step|{steps} steps} at rates from {lowest:.2g} to "
    "{highest:.2g}"
)
RACED = (
    "in {trials} trials of {steps} steps on copies the loss fell fastest near {rate:.2g}; for "
    "{training:one step|{training} steps} ({schedule}) take {advised:.2g}, which two times in "
    "three was within a factor of {factor:.2g} of the best"
)
ONE_GRADIENT = (
    "by one gradient: {gradients:.3g} of them, the budget, are too few for trials; for "
    "{training:one step|{training} steps} ({schedule}) take {advised:.2g}, which two times in "
    "three was within a factor of {factor:.2g} of the best"
)
NO_LINK = (
    "gradients of {batches} batches show no link between inputs and targets ({statistic:.1f}, from "
    "{seen:.1f} on they would): there may be nothing to learn, or a plateau comes first, or more "
    "batches show it"
)
SETTLED = (
    "gradients of {batches} batches have no common direction ({statistic:.1f}, from {seen:.1f} on "
    "they would): at these weights there is little to gain"
)
NO_END = (
    "none: the loss fell from {start:.3g} to {end:.3g} at rate {rate:.2g}, where the search ended, "
    "with no end in sight: a loss without a lower bound (as -outputs.mean()), or one that does not "
    "curve, has no best rate"
)
FLAT = (
    "no limit is known: the Gauss-Newton matrix has no eigenvalue above 0, since the loss is "
    "linear in the outputs (put log_softmax into the loss: logits with cross_entropy), curves "
    "down in them, or they do not move"
)
NO_UPWARD = (
    "no limit is known: the Hessian of the loss that the model makes has no eigenvalue above 0, so "
    "that the loss curves down, or not at all, whichever way the weights move"
)
UNLEARNED = (
    "no rate is known to train it: the best trial ended at a loss of {end:.3g}, where one output "
    "for all examples has {constant:.3g}; try longer trials"
)
SPENT = (
    "the trial fitted these examples (the loss ended at {share:.1g} of its start), and where a "
    "loss is gone so is its curvature: pass more examples for a limit of use"
)
WORSE = (
    "none was found: with the scales that were tried a mean square changes over the depth by a "
    "factor 10^{after:.1f}, up or down, as it is by 10^{before:.1f}"
)
MEASURES = "{streak:one measure|{streak} measures}"
HERE = "at these weights batches of {batch:g} lie "
NOISE = " the noise scale of {least}{scale:.3g} samples, where "
GAIN = ": twice the batch makes a step {gain:.2f} times as useful"


FIRST = ", by {products} products with the first batches"
ABOUT = "λ_max about {sharpness:.2g} ({least:.2g} to {most:.2g})" + FIRST


class FirstLookEnding(Ending):
    """What a first look at a limit showed; numbers: ``sharpness, least, most, products``."""

    LIMIT = True, "limit about {limit:.2g} ({low:.2g} to {high:.2g})" + FIRST
    LATER = True, ABOUT + "; the limit of {optimizer} comes after steps that fill its averages"
    FLAT = False, "no limit yet: the loss does not curve" + FIRST


class CriticalEnding(Ending):
    """How a line search for the rate at which the loss first rises ended, over all batches."""

    FOUND = True, "on {batches:one batch|{batches} batches} the loss rises from {rate:.3g} on"
    UPHILL = (
        False,
        "the step raises the loss at any rate on {uphill:one batch|{uphill} batches} of {batches}",
    )
    ENDLESS = (
        False,
        (
            "the loss still falls at the highest rate that was tried, on "
            "{endless:one batch|{endless} batches} of {batches}"
        ),
    )


class LimitEnding(Ending):
    """Beside the endings of an eigenvalue: how the limit of a learning rate ended."""

    NO_CURVATURE = True, FLAT
    NO_UPWARD = True, NO_UPWARD
    FITTED = False, SPENT


NO_GUIDE = (
    "none: the loss of the first batch is not finite or has no slope, and the budget pays no trials"
)
NO_LEAST = (
    "how far this loss can fall is not known, and its size does not fit its course along a step: "
    "the rate is a share of the one at which a step raises it, a figure that scatters"
)


class AdviceEnding(Ending):
    """How the search for a rate to train with ended; numbers: ``trials, steps, rate, fall``."""

    NO_FALL = False, NO_FALL
    NO_END = False, NO_END
    FASTEST = True, FELL + ", to {fall:.4g} of its start"
    FASTEST_BY_SIZE = True, FELL + ", by {fall:.3g} of its size"
    RACED = True, RACED
    ONE_GRADIENT = True, ONE_GRADIENT
    NO_GUIDE = False, NO_GUIDE
    NO_TRIAL = False, "none: the loss ran away, up or down, or was not finite, in {trials} trials"


class AdviceNote(Ending):
    """What else the trials showed; False where it speaks against the advice."""

    RAN_AWAY = True, "it ran away at {rate:.2g}"
    QUARTER = True, "the advice is a quarter of that, since longer trainings run away earlier"
    MARGIN = (True, "divided by {margin:.2f}, since the optimizer's average fills slowly")
    WARMS_UP = True, "divided by {growth:.2f}, since the optimizer's own warm-up makes trials slow"
    LITTLE = False, "it fell little: where a plateau comes first, such trials choose too low a rate"
    NOT_BELOW = False, UNLEARNED
    NOTHING = False, "in the best trial the loss fell by no more than its noise: nothing was gained"
    NO_LINK = False, NO_LINK
    SETTLED = False, SETTLED
    UNGUIDED = (
        False,
        "the first gradient gave no rate to begin at, so the optimizer's own was taken",
    )
    NO_LEAST = False, NO_LEAST
    NOT_POSITIVE = False, "it is not positive, so no trial could show where it runs away"
    AT_END = False, "it fell faster still where the search ended, so the best rate may lie beyond"


class NoiseEnding(Ending):
    """How the estimate of a gradient-noise scale ended."""

    UNBIASED = True, "unbiased over {batches} batches"
    TWO_BATCHES = True, "two batches: no standard error"
    INDISTINCT = (
        False,
        "the mean gradient's squared norm cannot be distinguished from 0 with {batches} batches",
    )


class BatchAdvice(Ending):
    """What a noise scale says of the batch size; numbers: ``batch, scale, gain``."""

    TOO_FEW = False, "these batches are too few to say whether larger ones than {batch:g} pay."
    ALL_NOISE = (
        True,
        "at batches of {batch:g} all of the gradient is noise at these weights: more pays in full.",
    )
    FAR_BELOW = True, HERE + "far below" + NOISE + "the gain is linear" + GAIN + "."
    BELOW = True, HERE + "below" + NOISE + "the gain begins to fade" + GAIN + "."
    BEYOND = True, HERE + "beyond" + NOISE + "returns diminish" + GAIN + " at twice the cost."


class TheoryEnding(Ending):
    """Whether mean-field theory covers a network and its loss."""

    COVERED = True, ""
    LOSS = False, "it covers squared error and plain cross-entropy, not {loss} as it is here"
    INPUTS = False, "it covers one floating input an example, with a vector of outputs"
    NETWORK = False, "{why}"  # the theory's own refusal
    VIEW = False, "it covers a model as it is called by itself, without forward= or select="
    FROZEN = False, "it covers networks whose parameters are all trained, and {name!r} is not"


class ProposalEnding(Ending):
    """Which way to initial scales was taken."""

    CRITICAL = True, "the critical point of the theory"
    DATA = True, "layer by layer on the data"
    NO_CRITICAL_POINT = True, "no critical point: {why}"
    NONE = False, WORSE


STAYED = "the loss stayed above its band for {rising} steps"


class ControlEnding(Ending):
    """What a measure of a training in progress showed; numbers: ``streak, rising, target``."""

    CALM = True, "the rate is within the limit and the loss within its band"
    LOSS_HIGH = True, "the loss is above its band, the rate within the limit"
    BEYOND = False, "the rate is beyond the limit, at " + MEASURES + " without a calm one"
    LOWERED = False, "unstable at " + MEASURES + ": the rate is lowered to {target:.3g}"
    ROSE = False, STAYED + ", the rate beyond the limit of small batches: lowered to {target:.3g}"


BY_COSINE = (
    "by cosine it ended below momentum by cosine on {below} of {tasks} small tasks of many kinds, "
    "each at its best rate, and its best rate is foretold better"
)
FEW = (
    "{few} steps are few: in trainings of 200 the optimizer Prodigy, which needs no rate, ended "
    "within 10 % of the best rate of a grid in {prodigy} of {cases} cases, AdamW so set in {ours}"
)
DECAYS = (
    "a rate that falls by cosine ended lower than a constant one on {below} of {tasks} small tasks "
    "of many kinds, each at its best rate"
)
FALLS = (
    "at 1,500 steps a rate that falls in a line to 0 ended 2 % and more below a cosine on "
    "{cosine_above} of {tasks} small tasks and above it on {cosine_below}, below a constant rate "
    "on {constant_above} and above it on {constant_below}, each at the rate advised for it"
)
EXPLODES = (
    "not examined: {kind} can explode; nakami.recurrent keeps the spectrum of a GRU below 1 in "
    "place of clipping"
)


GROWS = (
    "{noise}; noise grows in training, so read it again after some hundred steps: on {tasks} "
    "small tasks the critical batch of 750 steps of AdamW was {least:.2g} times the scale at the "
    "start or more (median {middle:.2g} times)"
)
SHRINKS = "it leaves {left:.1%} of a weight without a gradient by the end; others were not tried"
SHRINKS_BY_GROUP = (
    "group by group it leaves {left} of a weight without a gradient by the end; others were not "
    "tried"
)
FOREIGN = (
    "as given, but for {foreign:a parameter tensor|{foreign} parameter tensors} that the model "
    "does not hold: the code leaves out what is not the model's"
)
GROUPS = (
    "as given: {groups} groups with {held} of {all} parameter tensors, at {rates} times the rate "
    "below; the code keeps them"
)
CLIPS = (
    "not examined here: AdamW with gradients clipped at a norm of 1 ended 2 % and more lower on "
    "{lower} of {tasks} small tasks and higher on {higher}"
)
UNEVEN = (
    "gradients of the weight matrices differ by a factor of {factor:.2g}, so that some hardly "
    "train: nakami.initialisation(model, inputs) proposes scales"
)


class ChoiceEnding(Ending):
    """Why a part of a setting is as it is; False where it is not known."""

    GIVEN = True, "as given"
    PART = True, "as given: it trains {held} of {all} parameter tensors, and so does the code"
    GROUPS = True, GROUPS
    FOREIGN = False, FOREIGN
    ADAMW = True, BY_COSINE
    ADAMW_FEW = True, BY_COSINE + "; " + FEW
    DECAYS = True, DECAYS
    FALLS = True, FALLS
    WARMS_UP = True, "a twentieth of the steps, as where the rules for the rate were set"
    RATE = True, "{why}"
    DOUBTED = False, "{why}"
    NOISE = True, GROWS
    NOT_READ = False, "not examined: {why}"
    NO_DECAY = True, "nothing draws weights to 0"
    SHRINKS = True, SHRINKS
    SHRINKS_BY_GROUP = True, SHRINKS_BY_GROUP
    DECAY_UNKNOWN = False, "not examined: how fast it draws weights to 0 is not known here"
    EVEN = True, "gradients of all weight matrices lie within a factor of {factor:.2g}"
    UNEVEN = False, UNEVEN
    SCALES = False, "not examined: nakami.initialisation(model, inputs) reads and proposes scales"
    CLIP = False, CLIPS
    STABILISER = False, EXPLODES
