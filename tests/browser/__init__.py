"""A package, so that pytest ends what is shared here (scope "package") before it goes on to other folders."""
