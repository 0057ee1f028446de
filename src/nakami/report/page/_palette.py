"""Colours of the page: every colour is a CSS variable with a value for light and for dark paper."""

from __future__ import annotations

import numpy as np

LIGHT, DARK = "light", "dark"
BASE = {
    LIGHT: {
        "paper": "#FBFAF7", "wash": "#F3F1EB", "ink": "#1A1C1F", "ink-2": "#474C52",
        "ink-3": "#676D74", "rule": "#DFDCD4", "accent": "#1B5E93", "before": "#6B7076",
        "after": "#0B6A8A",
    },
    DARK: {
        "paper": "#131518", "wash": "#1B1E22", "ink": "#ECE9E2", "ink-2": "#B9BBBD",
        "ink-3": "#8F9498", "rule": "#2E3237", "accent": "#86B9EA", "before": "#8C9196",
        "after": "#5CC0DE",
    },
}  # fmt: skip
DEPTH = {LIGHT: ("#B7801A", "#B5476A", "#37308A"), DARK: ("#E9B949", "#E67F9C", "#9C8FF5")}
SIGNED = {  # from -1 to +1, at STOPS
    LIGHT: ("#0B3C6F", "#3F86BF", "#A9CBE2", "#FBFAF7", "#F0BD94", "#C9662A", "#702604"),
    DARK: ("#CBE6FF", "#5BA3DC", "#24506F", "#1B1E22", "#6E3F1E", "#E08A4A", "#FFE6CF"),
}
STOPS = (0.0, 0.25, 0.4, 0.5, 0.6, 0.75, 1.0)
TEXT_CONTRAST = 4.6
_LMS = np.array([[0.4122214708, 0.5363325363, 0.0514459929],
                 [0.2119034982, 0.6806995451, 0.1073969566],
                 [0.0883024619, 0.2817188376, 0.6299787005]])  # fmt: skip
_LAB = np.array([[0.2104542553, 0.7936177850, -0.0040720468],
                 [1.9779984951, -2.4285922050, 0.4505937099],
                 [0.0259040371, 0.7827717662, -0.8086757660]])  # fmt: skip


def variables(n_stages: int) -> dict[str, dict[str, str]]:
    """CSS variables for each theme, with ``d1..dn`` for curves and ``t1..tn`` for their names."""
    out = {}
    for theme, base in BASE.items():
        curves = depth_colours(n_stages, theme)
        names = [readable(c, base["paper"]) for c in curves]
        out[theme] = {
            **base,
            **{f"d{i + 1}": c for i, c in enumerate(curves)},
            **{f"t{i + 1}": c for i, c in enumerate(names)},
            "lut": f"url(#lut-{theme})",
            "grad": f"linear-gradient(90deg, {', '.join(signed_map(theme))})",
            "inv": "invert(1)" if theme == LIGHT else "none",
        }
    return out


def depth_colours(n: int, theme: str = LIGHT) -> list[str]:
    """Colours of ``n`` stages from the first to the last, interpolated in OKLab."""
    if n == 1:
        return [DEPTH[theme][-1]]
    return _interpolate(DEPTH[theme], (0.0, 0.5, 1.0), np.linspace(0, 1, n))


def signed_map(theme: str, n: int = 33) -> list[str]:
    """The map of signed pictures, from -1 to +1."""
    return _interpolate(SIGNED[theme], STOPS, np.linspace(0, 1, n))


def filters() -> dict[str, tuple[str, str, str]]:
    """For each theme the three tables (red, green, blue) of the SVG filter that colours grey."""
    out = {}
    for theme in (LIGHT, DARK):
        channels = np.array([_rgb(c) for c in signed_map(theme)]).T
        red, green, blue = (" ".join(f"{v:.3f}" for v in row) for row in channels)
        out[theme] = (red, green, blue)
    return out


def contrast(a: str, b: str) -> float:
    """Contrast ratio of two colours (WCAG 2, relative luminance)."""
    x, y = (float(_linear(_rgb(c)) @ (0.2126, 0.7152, 0.0722)) for c in (a, b))
    return (max(x, y) + 0.05) / (min(x, y) + 0.05)


def readable(colour: str, paper: str) -> str:
    """The colour, darkened in OKLab until it can be read as text on ``paper``."""
    lab = _to_oklab(_rgb(colour))
    while contrast(_hex(_from_oklab(lab)), paper) < TEXT_CONTRAST and lab[0] > 0.05:
        lab = lab - np.array([0.01, 0, 0])
    return _hex(_from_oklab(lab))


def _interpolate(colours: tuple[str, ...], at: tuple[float, ...], where: np.ndarray) -> list[str]:
    labs = np.array([_to_oklab(_rgb(c)) for c in colours])
    mixed = np.stack([np.interp(where, at, labs[:, i]) for i in range(3)], axis=1)
    return [_hex(_from_oklab(lab)) for lab in mixed]


def _rgb(colour: str) -> np.ndarray:
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255


def _hex(rgb: np.ndarray) -> str:
    return "#" + "".join(f"{round(float(v) * 255):02X}" for v in np.clip(rgb, 0, 1))


def _linear(rgb: np.ndarray) -> np.ndarray:
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def _to_oklab(rgb: np.ndarray) -> np.ndarray:
    return _LAB @ np.cbrt(_LMS @ _linear(rgb))


def _from_oklab(lab: np.ndarray) -> np.ndarray:
    linear = np.linalg.solve(_LMS, np.linalg.solve(_LAB, lab) ** 3).clip(0, 1)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
