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
}
