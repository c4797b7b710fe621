"""Extended finite elements for a plate with a growing crack, condensed on the intact plate."""
