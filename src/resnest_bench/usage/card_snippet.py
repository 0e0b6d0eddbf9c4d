"""The code in a model card: from an image file to a class, with numpy, Pillow and ONNX Runtime alone."""


def write_snippet(mode: str) -> str:
    """Python code that runs model.onnx on one image; `mode` is Pillow's, RGB or L."""
    axes = "pixels[None].transpose(0, 3, 1, 2)" if mode == "RGB" else "pixels[None, None]"
    shape = "(-1, 1, 1)"
    return f"""import json
import numpy as np
import onnxruntime
from PIL import Image, ImageOps

how = json.load(open("preprocessing.json"))
image = ImageOps.exif_transpose(Image.open("image.png")).convert("{mode}")
scale, crop = how["resize"] / min(image.size), how["crop"]
if scale != 1:
    size = [max(how["resize"], side * how["resize"] // min(image.size)) for side in image.size]
    image = image.resize(size, Image.Resampling.BILINEAR)
left, top = (image.width - crop) // 2, (image.height - crop) // 2
pixels = np.asarray(image.crop((left, top, left + crop, top + crop)), dtype=np.float32)
mean, std = (np.array(how[name], dtype=np.float32).reshape{shape} for name in ("mean", "std"))
x = ({axes} / 255 - mean) / std
session = onnxruntime.InferenceSession("model.onnx")
logits = session.run(None, {{session.get_inputs()[0].name: x.astype(np.float32)}})[0][0]
probabilities = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
print(how["classes"][int(probabilities.argmax())], float(probabilities.max()))"""
