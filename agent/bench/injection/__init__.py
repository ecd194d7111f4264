"""Whether hostile words make the bot tell, do or show what it must not."""
