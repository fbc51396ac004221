"""For the tests of other projects: the claims about content, as tests (`registrytool.testing.claims`)."""
