"""One cycle of learning: rows of feedback and of the memory in, one LoRA folder out (`finetune.train.train`)."""
