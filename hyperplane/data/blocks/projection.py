"""From degrees to metres: transverse Mercator in a UTM zone on the WGS 84 ellipsoid, and arcs of a sphere.

The series in the third flattening n to its sixth power (Krüger 1912; Karney 2011, "Transverse Mercator with an
accuracy of a few nanometers", equation 35).
"""

from __future__ import annotations

import numpy as np

SEMI_MAJOR, FLATTENING = 6_378_137.0, 1 / 298.257223563
SCALE, FALSE_EASTING, FALSE_NORTHING = 0.9996, 500_000.0, 10_000_000.0
SPHERE = 6_371_009.0
"""Mean radius of the earth, in metres."""


def zone_of(longitude: float) -> int:
    """Return the UTM zone of a longitude in degrees, 1 to 60."""
    return int((longitude + 180) // 6) % 60 + 1


def to_utm(degrees: np.ndarray, zone: int | None = None) -> np.ndarray:
    """Return easting and northing in metres, (…, 2), of longitude and latitude in degrees, (…, 2).

    Without a zone it is that of their mean longitude; north and south of the equator too is that of their mean.
    """
    if not degrees.size:
        return degrees
    zone = zone_of(float(degrees[..., 0].mean())) if zone is None else zone
    n = FLATTENING / (2 - FLATTENING)
    e = np.sqrt(FLATTENING * (2 - FLATTENING))
    radius = SEMI_MAJOR / (1 + n) * (1 + n**2 / 4 + n**4 / 64 + n**6 / 256)
    longitude = np.radians(degrees[..., 0] - (6 * zone - 183))
    latitude = np.radians(degrees[..., 1])
    tau = np.tan(latitude)
    sigma = np.sinh(e * np.arctanh(e * tau / np.hypot(1, tau)))
    conformal = tau * np.hypot(1, sigma) - sigma * np.hypot(1, tau)
    north = np.arctan2(conformal, np.cos(longitude))
    east = np.arcsinh(np.sin(longitude) / np.hypot(conformal, np.cos(longitude)))
    xi, eta = north.copy(), east.copy()
    for k, alpha in enumerate(_series(n), 1):
        xi += alpha * np.sin(2 * k * north) * np.cosh(2 * k * east)
        eta += alpha * np.cos(2 * k * north) * np.sinh(2 * k * east)
    southern = FALSE_NORTHING if float(degrees[..., 1].mean()) < 0 else 0.0
    return np.stack([FALSE_EASTING + SCALE * radius * eta, southern + SCALE * radius * xi], -1)


def arcs(degrees: np.ndarray) -> np.ndarray:
    """Return the lengths in metres of the great-circle arcs along a line of longitudes and latitudes, (P, 2)."""
    longitude, latitude = np.radians(degrees).T
    half = (np.sin(np.diff(latitude) / 2) ** 2) + np.cos(latitude[:-1]) * np.cos(latitude[1:]) * np.sin(
        np.diff(longitude) / 2
    ) ** 2
    return 2 * SPHERE * np.arcsin(np.sqrt(np.minimum(half, 1.0)))


def _series(n: float) -> list[float]:
    """Return the coefficients of the forward series."""
    return [
        n / 2 - 2 * n**2 / 3 + 5 * n**3 / 16 + 41 * n**4 / 180 - 127 * n**5 / 288 + 7891 * n**6 / 37800,
        13 * n**2 / 48 - 3 * n**3 / 5 + 557 * n**4 / 1440 + 281 * n**5 / 630 - 1983433 * n**6 / 1935360,
        61 * n**3 / 240 - 103 * n**4 / 140 + 15061 * n**5 / 26880 + 167603 * n**6 / 181440,
        49561 * n**4 / 161280 - 179 * n**5 / 168 + 6601661 * n**6 / 7257600,
        34729 * n**5 / 80640 - 3418889 * n**6 / 1995840,
        212378941 * n**6 / 319334400,
    ]
