"""Invents hippocampus-like volumes for pre-training: a curved tube with a thicker head in T1-like tissue.

Domain randomisation in the spirit of SynthSeg (Billot et al. 2021): random shapes of the organ and of what is
around it, random brightness, blur, bias field and noise. What went in is public knowledge: a hippocampus has 2 to
5 ml, its head lies in front and below, white matter below it, fluid beside and above, the amygdala before the head;
in T1 images fluid is dark, grey matter grey and white matter bright; the crops are of about 35 x 51 x 35 voxels of
1 mm (left-right, back-front, bottom-top) with the organ near the middle. No patient's image was used. Needs numpy.
"""

import math

import numpy as np

TAU = 2 * math.pi
FLUID, GREY, WHITE = 0, 1, 2


def waves(random, shape, count, lengths, amplitude):
    """A sum of `count` plane waves with wavelengths in `lengths` voxels and a standard deviation of `amplitude`."""
    direction = random.normal(size=(count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    per_voxel = direction * TAU / random.uniform(*lengths, size=(count, 1))
    phase = np.exp(1j * random.uniform(0, TAU, size=(count, 1)))
    # cos(a + b + c) as the real part of a product keeps this to one matrix product.
    a, b, c = (np.exp(1j * np.outer(per_voxel[:, axis], np.arange(size))) for axis, size in enumerate(shape))
    sheet = (a * phase)[:, :, None] * b[:, None, :]
    return amplitude * math.sqrt(2 / count) * (sheet.reshape(count, -1).T @ c).real.reshape(shape)


def blurred(values, sigma, axis):
    radius = int(3 * sigma + 0.5)
    kernel = np.exp(-np.arange(-radius, radius + 1) ** 2 / (2 * sigma**2))
    padded = np.pad(values, [(radius, radius) if a == axis else (0, 0) for a in range(3)], mode="edge")
    size = values.shape[axis]
    shifted = (weight * np.take(padded, range(i, i + size), axis) for i, weight in enumerate(kernel / kernel.sum()))
    return sum(shifted)


def normalised(image):
    """As the product does: clipped at the percentiles 0.5 and 99.5, then mean 0 and variance 1."""
    ordered = np.sort(image, axis=None)
    last = len(ordered) - 1
    image = np.clip(image, ordered[last * 5 // 1000], ordered[last * 995 // 1000])
    return ((image - image.mean()) / image.std()).astype(np.float32)


class Organ:
    """The tube: `distance` is in mm from the surface, roughly; `angle` is 0 away from the midline and pi/2 upwards."""

    def __init__(self, random, shape):
        side = random.choice([-1, 1])
        length = shape[1] * random.uniform(0.64, 0.86)
        middle = [size / 2 + random.normal(0, 1.5) for size in shape]
        warp = random.uniform(0.4, 1.6)
        grid = np.meshgrid(*[np.arange(size) for size in shape], indexing="ij", sparse=True)
        # Coordinates that a smooth displacement moved; everything below is drawn in them.
        self.points = [axis + waves(random, shape, 4, (14, 40), warp) for axis in grid]
        along = (self.points[1] - middle[1]) / (length / 2)
        head, tail, cap = random.uniform(0.05, 0.45), random.uniform(-0.1, 0.3), random.uniform(2.5, 7)
        headness = lambda t: 1 / (1 + np.exp(-4 * (t - 0.15)))
        profile = lambda t: (np.sqrt(np.clip(1 - np.abs(t) ** cap, 0, None))
                             * (1 + head * headness(t) - tail * np.clip(-t, 0, 1)))
        # The radius that gives the volume; an ellipse's area is pi times the product of its radii.
        mean_square = (profile(np.linspace(-1, 1, 101)) ** 2).mean()
        radius = math.sqrt(random.uniform(2300, 4900) / (math.pi * mean_square * length))
        flatness = random.uniform(0.95, 1.6) ** 0.5 * (1 + (random.uniform(0.9, 1.3) ** 0.5 - 1) * headness(along))
        wide = radius * profile(along) * flatness + 1e-3
        high = radius * profile(along) / flatness + 1e-3
        tilt = [random.normal(0, 3), -random.uniform(1, 9)]
        bend = [side * random.uniform(0, 5), random.uniform(-3, 3)]
        u = self.points[0] - middle[0] - tilt[0] * along - bend[0] * (along**2 - 0.33)
        v = self.points[2] - middle[2] - tilt[1] * along - bend[1] * (along**2 - 0.33)
        turn = side * random.uniform(-0.2, 0.7)
        p, q = math.cos(turn) * u + math.sin(turn) * v, math.cos(turn) * v - math.sin(turn) * u
        relative = np.hypot(p / wide, q / high)
        self.is_beside = np.abs(along) < 1
        self.mask = self.is_beside & (relative < 1)
        self.distance = (relative - 1) * np.sqrt(wide * high)
        self.angle = np.arctan2(v, side * u)
        # The amygdala sits on the head.
        above = random.uniform(1.0, 1.9) * radius
        before = random.uniform(0.75, 1.1) * length / 2
        self.amygdala = [middle[0] + tilt[0] + random.normal(0, 2.5), middle[1] + before,
                         middle[2] + tilt[1] + 0.67 * bend[1] + above]


def tissue(random, shape, organ):
    """Fluid, grey and white matter: layers of one random field, then what is known to lie around the organ."""
    field = waves(random, shape, 10, (9, 36), 1.0)
    low, high = random.uniform(-1.6, -0.8), random.uniform(-0.3, 0.5)
    kinds = np.where(field < low, FLUID, np.where(field < high, GREY, WHITE))
    ripple = waves(random, shape, 4, (10, 30), 0.7)
    # Kind, range of its thickness in mm, its mean angle and that angle's deviation, range of half its width.
    around = [(WHITE, (1, 4), -1.57, 0.5, (0.6, 1.8)), (GREY, (0, 3), 3.1, 0.6, (0.2, 0.9)),
              (FLUID, (-0.5, 2.5), 0.8, 0.6, (0.2, 1.2)), (FLUID, (-0.5, 2.0), 2.4, 0.5, (0.1, 0.8))]
    for kind, thickness, middle, deviation, half_width in around:
        thick = random.uniform(*thickness) + ripple
        turned = np.abs((organ.angle - random.normal(middle, deviation) + math.pi) % TAU - math.pi)
        is_inside = (organ.distance < thick) & (turned < random.uniform(*half_width) + 0.3 * ripple)
        kinds[organ.is_beside & ~organ.mask & is_inside] = kind
    return kinds


def volume(random):
    """Returns an image, normalised, and its mask, both [left-right, back-front, bottom-top]."""
    shape = (random.integers(31, 42), random.integers(44, 59), random.integers(28, 44))
    organ = Organ(random, shape)
    fluid, grey, white = random.uniform(0, 0.3), random.uniform(0.45, 0.7), random.uniform(0.85, 1.05)
    image = np.array([fluid, grey, white])[tissue(random, shape, organ)]
    radii = random.uniform(4.5, 8, 3)
    is_amygdala = sum(((p - m) / r) ** 2 for p, m, r in zip(organ.points, organ.amygdala, radii)) < 1
    image = np.where(is_amygdala, grey + random.normal(0, 0.05), image)
    image += waves(random, shape, 6, (6, 30), random.uniform(0.01, 0.08))
    is_odd = random.random() < 0.15
    brightness = random.uniform(0.3, 0.9) if is_odd else grey + random.normal(0.02, 0.06)
    image = np.where(organ.mask, brightness + waves(random, shape, 4, (5, 20), random.uniform(0, 0.08)), image)
    for axis in range(3):
        image = blurred(image, random.uniform(0.35, 1.2), axis)
    image *= 1 + waves(random, shape, 3, (60, 160), random.uniform(0, 0.12))
    image = np.clip(image, 0, None) ** random.uniform(0.75, 1.35)
    image += random.normal(0, random.uniform(0.01, 0.07), shape)
    return normalised(image), organ.mask
