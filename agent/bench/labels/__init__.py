"""200 customer turns of ReDial and RecQuest valid, labelled twice; README.md has the rules. No texts are here."""
