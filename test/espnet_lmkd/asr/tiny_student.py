"""What the tiny student of these tests is made of."""

DECODER = dict(attention_heads=2, linear_units=16, num_blocks=1)
INTERAED = dict(
    type="interaed", weight=0.5, conf=dict(layers=[2], decoder_conf=DECODER)
)
TOKENS = ["<blank>", "<unk>", *"abcdefgh", "<sos/eos>"]
