"""Facts of public exports: what the tests of lsst-daf-butler ship of real repositories."""

from __future__ import annotations

#: Regions of hsc_rings_v1 by tract and patch; from an export of 2020.
RINGS: dict[tuple[int, int | None], str] = {
    (9615, None): (
        "70cfa95156d710eabf1f176fc00990e2bfa9d5478c457b5bbfc902fc7aae82e9bfde6fb7609751e3bf39a6c891457b5bbf14"
        "66693c2b80e9bf9e286deebe4fe3bf0a8a61be754c9c3f3616a317540eeabfd2f04b4e318ee2bfc3d4b6b8754c9c3f"
    ),
    (9813, None): (
        "706d49172fb089ebbf7a416963e047e03f04da8d4822dd983f748955c6dc00ecbfd7f213e3c3eede3f6f79884d22dd983f55"
        "833497bef8ebbf15b3fe207ce5de3fae43c0300f6eab3fd5c00f009281ebbf37cf35823c43e03f9417422b0f6eab3f"
    ),
    (9615, 14): (
        "7013c53e857be2e9bfa64c2ee879d0e2bfd0b07c20ce8c583f5de995f6f7d1e9bff202744a1de7e2bf9066ce0ee08c583f3b"
        "6ef779e5d1e9bff66300940fe7e2bf182e2051dd25743fdb74b22c69e2e9bf7d930d006cd0e2bf041cb299ce25743f"
    ),
    (9813, 72): (
        "70cc2b4a68b7ecebbf32d931ecb816df3fffe573df5ab9a93f6d2ac3c7faf9ebbf39dad585e2e6de3fa88934c311b9a93f55"
        "833497bef8ebbf15b3fe207ce5de3fae43c0300f6eab3f3e8709597bebebbf77d66efa5115df3f05874a255d6eab3f"
    ),
}
#: Region of the only tract of the sky map of ci_hsc; from an export of 2025.
DISCRETE = (
    "70cb48dd838019e83fe79b0e4ace0ae5bfcae4291ac61395bf4884794db329e93f68b2ba9327c2e3bfa603a921c61395bf0e"
    "047a6ce727e93fc46da7b1aac0e3bf8779dd59c921a03f513c3fa3b417e83f6ffa86675109e5bf06a12054c921a03f"
)
#: Regions of detectors of HSC by visit and detector.
HSC: dict[tuple[int, int], str] = {
    (904014, 1): (
        "706505b6cee9c6e83f1ce0d33cf73fe4bf7d571c3c91857abf37b4956ad5c6e83f159cf818e13fe4bfac16ee6e482d81bfb5"
        "2a7845e6d9e83ff8696e727728e4bf5d121c2cd81b81bf8601227429dae83fdfe427915328e4bffddaa67cdc697abf"
    ),
    (904014, 6): (
        "70e28cf26af7c6e83f377942420540e4bf646f99c5e1d173bf6bd2d253e8c6e83f07a522eef13fe4bfd8353066ecd87bbf5b"
        "4caff920dae83f9be9d4f55628e4bf4da395884bba7bbf912f671a56dae83f783eeb223b28e4bfbcfb0b8799b973bf"
    ),
    (904014, 12): (
        "7031cb76a1fcc6e83f5f77c6011540e4bfdc87c214f1fb69bfb8675a4bf2c6e83f33adad0d0640e4bf4999743f072c75bf72"
        "96fd544bdae83f94dad6f64228e4bfb80070b86d1275bf779a924774dae83f2d65c7fc2b28e4bffda15cf9dad369bf"
    ),
    (903334, 16): (
        "70475bf1ba79d0e83fbae4796c2134e4bf6d0aff2d988f7fbfca028ffbd9d0e83fb219bf5bd733e4bfa42d1700c87377bf0d"
        "46e4dc09bee83f039c610adc4ae4bffe57a72b77bd77bf8af0a44bc7bde83f07cc910e004be4bffa50a8899ff67fbf"
    ),
    (903334, 22): (
        "70a6ec981fc8e1e83f37f1404df51ee4bf193e97e8e65c78bf9b9c6d922be2e83fba9e72df9a1ee4bf00461acc3e4f70bf69"
        "9c99c045d0e83f2040f287a834e4bf4f6156079e9d70bfe50f6120ffcfe83fd84fba8ddd34e4bf96aee39fe8d478bf"
    ),
    (903334, 23): (
        "70424ca5cdc8d0e83f403274dfe533e4bfbb2784fa99d478bf1a4231b611d1e83fde1e2101ae33e4bf0eff3023d09e70bf41"
        "3cd84b30bee83f84ea11e0c84ae4bf23f2b11d58cf70bff78d7cecfcbde83f42472b24e54ae4bf5499cd6f4d2079bf"
    ),
    (903334, 100): (
        "705bf0f99de8d9e83fa93c6991b228e4bfb3d453c1be5c77bf21b929fe0ad0e83f9ba644f7d434e4bf89796a64409577bf0c"
        "bdd27043cfe83f908164806f35e4bfd5da7425222c83bf55b756f3f6d8e83fba054ca18329e4bf561dbbfbfafa82bf"
    ),
    (903342, 4): (
        "70f703b56aa6bee83f99fedb4f2f4ae4bf7348550fe87873bf95a93f7949bee83f8aaca2047c4ae4bfd7853234e5667bbf2e"
        "9c9463a4d0e83ff422a0af0834e4bf6f0a80c974c57abfe697534e33d1e83fbfb7196a7c33e4bff31bdf6823fb72bf"
    ),
    (903342, 10): (
        "7018674d79e0bee83ff13a7ceefd49e4bf325e1db2c07069bfbc75adcd97bee83fbbf0e2ce3b4ae4bfbb2314253cd074bfda"
        "83a6571dd1e83f2c4006479233e4bfbe49a168214c74bfcb1cf5708dd1e83f3bc1a9492233e4bfc7c8c88b53aa68bf"
    ),
    (903342, 100): (
        "70f866054d01dae83f0cccb14bc728e4bf58f6507460f755bf13381f0e24d0e83f3cd32702ea34e4bf3fc896ec02d956bf3d"
        "b6b9db75cfe83fbfb6c0a19935e4bfa544b6eb597974bf29ae86b528d9e83fc84b5636ad29e4bf6782c453231774bf"
    ),
}
#: Where the telescope pointed in visits of HSC: right ascension, declination and angle of the focal plane, in degrees.
#: 903334 from the header of its raw file (HSCA90333426, which the tests of lsst/images have), 903342 from the record of
#: its exposure in the export of 2020 (hsc-rc2-subset-v0), 904014 by a fit to its regions.
HSC_POINTINGS: dict[int, tuple[float, float, float]] = {
    903334: (320.249933333, 1.94444444444e-05, 270.0),
    903342: (320.2499291666666, 0.25001944444444446, 270.0),
    904014: (320.749506351896336, 0.24999941020372551, 269.96652602960378),
}
#: Regions of detectors of LSSTCam by exposure and detector; where it pointed and its angle, in degrees.
LSSTCAM: dict[tuple[int, int], tuple[tuple[float, float, float], str]] = {
    (2025120200439, 10): (
        (104.55395819494994, -42.69572623114717, 314.98128613456913),
        (
            "70aec07aff7aa1c9bfa3fd86c15619e63fbc3e491b343de6bf044adf7d4116cabfc67e3cb2bc23e63ffccfb0fc572ae6bfcc"
            "8d75f09fc6c9bf028d3797543be63faedbfdf98518e6bf0d0ea2dbce51c9bf8d5d2fb5ed30e63fc2eb4fce632be6bf"
        ),
    ),
    (2025120200440, 10): (
        (125.6049150178604, -49.58422076567679, 250.7803018484177),
        (
            "702cc00567eeedd9bfc23df04b8f76e03faa6d2c4d302fe8bf8a169b52e1f8d9bf3844e3c3b792e03ffd579abdfa18e8bf7b"
            "c4b8488cb8d9bf5b9fabb9969fe03fa081fed15b21e8bf6801f65e98add9bf492e2eb46b83e03f74180d659337e8bf"
        ),
    ),
    (2025120200439, 11): (
        (104.55395819494994, -42.69572623114717, 314.98128613456913),
        (
            "70495d8b527135c9bf3e0c8624a30fe63fa0078f0b874ee6bf49d4893759aac9bf8ef5a0ba211ae63f8c02a4b6c63be6bfcb"
            "9e2ad7ad5ac9bf110bf8c3b831e63fcde15146f629e6bffd38b867bce5c8bf7e0f9ee33827e63ff8f84889b83ce6bf"
        ),
    ),
    (2025120200440, 11): (
        (125.6049150178604, -49.58422076567679, 250.7803018484177),
        (
            "70f1092604afe3d9bffae8ce50785ce03f211345db9a43e8bf54cb3473c4eed9bf3d0add1ab378e03f24eff1db812de8bf71"
            "c632766eaed9bfc1f498b68f85e03fab7510cee435e8bf1a15eee158a3d9bfb69bb42c5269e03f5fa03eadff4be8bf"
        ),
    ),
}
