"use strict";

// What this page has seen: it is shown, and says whether a reload was noticed.
const seen = { connections: 0, closed: 0, updates: 0, missed: 0, generations: [] };

const buttons = [...document.querySelectorAll("button")];
const state = document.getElementById("state");
const figures = document.getElementById("figures");
let socket;

function connect() {
  let last = 0;
  socket = new WebSocket("votes");
  socket.onopen = () => { seen.connections++; live(true); };
  socket.onclose = () => { seen.closed++; live(false); setTimeout(connect, 500 + 500 * Math.random()); };
  socket.onmessage = event => {
    const update = JSON.parse(event.data);
    seen.updates++;
    seen.missed += update.number - last - 1;
    last = update.number;
    if (!seen.generations.includes(update.generation)) seen.generations.push(update.generation);
    show(update);
  };
}

function live(open) {
  for (const button of buttons) button.disabled = !open;
  state.textContent = open ? "live" : "reconnecting";
  state.classList.toggle("live", open);
}

function show({ number, votes, generation, version }) {
  const most = Math.max(1, ...votes);
  buttons.forEach((button, i) => {
    button.querySelector(".bar").style.width = `${100 * votes[i] / most}%`;
    button.querySelector("output").value = votes[i];
  });
  figures.textContent = `generation ${generation} (${version}) · update ${number} · ${seen.missed} missed · ` +
    (seen.closed ? `${seen.closed} reconnects` : "never disconnected");
}

buttons.forEach((button, i) => button.onclick = () => socket.send(String(i)));
connect();
