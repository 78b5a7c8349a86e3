"use strict";
const figures = JSON.parse(document.getElementById("figures").textContent);
const dark = matchMedia("(prefers-color-scheme: dark)");

function draw() {
  const [ink, grid] = dark.matches ? ["#eeeeee", "#444444"] : ["#222222", "#dddddd"];
  for (const [name, { data, layout }] of Object.entries(figures)) {
    const themed = { ...layout, font: { ...layout.font, color: ink } };
    for (const key of Object.keys(layout)) {
      if (/^[xy]axis/.test(key)) themed[key] = { ...layout[key], gridcolor: grid, linecolor: grid, zerolinecolor: grid };
    }
    Plotly.react(name, data, themed, { responsive: true, displaylogo: false });
  }
}

draw();
dark.addEventListener("change", draw);
