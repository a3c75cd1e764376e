"""What a training run did: why it learns nothing, what other settings would have paid."""
