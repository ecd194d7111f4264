"""The starter adapter: one LoRA for understand and reply, its data, its recipe and its training on two cores."""
