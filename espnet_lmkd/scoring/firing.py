"""A recogniser's weights and fires over the spectrogram, as a picture."""

import numpy as np

from espnet_lmkd.scoring.figures import save_figure


def draw_firing(path, speech, seconds, weights, timed) -> None:
    """Draw the speech, each frame's weight below it, and where tokens or words lie.

    Args:
        path: .png to write.
        speech: (N,) samples, shown as a spectrogram, or (T, E) features.
        seconds: length of the utterance.
        weights: (T,) in 0..1.
        timed: objects with `text`, `start` and `end` in seconds.
    """
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, (top, bottom) = pyplot.subplots(
        2, 1, figsize=(max(6, 1.2 * seconds), 4.5), sharex=True, layout="constrained"
    )
    if speech.ndim == 1:
        rate = len(speech) / seconds
        top.specgram(speech + 1e-6, NFFT=400, noverlap=240, Fs=rate)
        top.set_ylabel("Hz")
    else:
        image = np.asarray(speech).T
        top.imshow(image, aspect="auto", origin="lower", extent=(0, seconds, 0, 1))
        top.set_yticks([])
        top.set_ylabel("features")
    weights = np.asarray(weights.cpu())
    width = seconds / len(weights)
    bottom.bar(np.arange(len(weights)) * width, weights, width, align="edge")
    for item in timed:
        for axis in (top, bottom):
            axis.axvline(item.end, color="C1", linewidth=1)
        middle = (item.start + item.end) / 2
        bottom.text(middle, 1.02, item.text, ha="center", va="bottom", rotation=60)
    bottom.set_ylim(0, 1.6)
    bottom.set_xlim(0, seconds)
    bottom.set_ylabel("weight")
    bottom.set_xlabel("seconds")
    save_figure(figure, path)
