{
  // The policy of this page allows no eval, which Vega compiles its expressions with: `ast` has them
  // interpreted instead. Nor does it allow the style sheets that Vega-Embed and its tooltips bring.
  const options = {
    mode: "vega-lite", renderer: "svg", ast: true, actions: false, defaultStyle: false,
    tooltip: {disableDefaultStyle: true},
  };
  const minWidth = 280;
  const font = "system-ui, sans-serif";
  // Of axes and frames, 3:1 on the light and on the dark page. The lines of the grid only lead the eye.
  const line = "#808080";
  const grid = "rgba(128, 128, 128, 0.22)";
  // "currentColor" is the text's colour, light or dark or printed: nothing is drawn anew for it.
  const onScreen = {
    font, background: "transparent", view: {stroke: line},
    axis: {
      labelColor: "currentColor", titleColor: "currentColor", domainColor: line, tickColor: line,
      gridColor: grid,
    },
    legend: {
      labelColor: "currentColor", titleColor: "currentColor", symbolBaseFillColor: "currentColor",
      ...(innerWidth < 800 ? {orient: "bottom"} : {}),
    },
    title: {color: "currentColor"},
    text: {color: "currentColor"},
  };

  async function draw(place) {
    const figure = place.closest("figure");
    const spec = JSON.parse(figure.querySelector("script").textContent);
    const title = figure.querySelector("h3").textContent;
    // The title stands above the chart as text, which wraps.
    const {title: _, ...untitled} = {...spec, description: title};
    try {
      await fit(place, untitled);
      figure.append(downloads(figure.id, spec));
    } catch (error) {
      place.textContent = `This chart could not be drawn: ${error.message}`;
      throw error;
    }
  }

  // A spec's width is that of the plane alone: how much its axes and legends add, the drawing tells.
  async function fit(place, spec) {
    const drawn = await vegaEmbed(place, spec, {...options, config: onScreen});
    const excess = place.querySelector("svg").width.baseVal.value - place.clientWidth;
    if (excess > 0 && spec.width > minWidth) {
      drawn.finalize();
      const width = Math.max(minWidth, spec.width - excess);
      await vegaEmbed(place, {...spec, width}, {...options, config: onScreen});
    }
  }

  function downloads(name, spec) {
    const row = document.createElement("p");
    row.className = "downloads";
    for (const type of ["svg", "png"]) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = type.toUpperCase();
      button.title = `Download this chart as ${type.toUpperCase()}, with its title`;
      const file = `${document.querySelector("h1").textContent}-${name}.${type}`;
      button.addEventListener("click", () => download(file, type, spec));
      row.append(button);
    }
    return row;
  }

  async function download(file, type, spec) {
    const config = {font, background: "white"};
    const drawn = await vegaEmbed(document.createElement("div"), spec, {...options, config});
    const link = document.createElement("a");
    link.href = await drawn.view.toImageURL(type, 2);
    link.download = file;
    link.click();
    drawn.finalize();
  }

  async function drawAll() {
    for (const place of document.querySelectorAll(".chart")) {
      await draw(place).catch(console.error);
    }
    // For a program that drives the browser: all is there.
    document.documentElement.dataset.charts = "drawn";
  }

  drawAll();
}
