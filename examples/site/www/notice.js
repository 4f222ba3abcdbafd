// Shows the notice, and what becomes of it. When the server is replaced the browser asks the next one by itself.
const box = document.getElementById("notice");
new EventSource("/events").addEventListener("notice", (event) => {
	box.textContent = JSON.parse(event.data);
	box.hidden = box.textContent === "";
});
