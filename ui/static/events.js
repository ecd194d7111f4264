// Runs once for each of our HTML panels (Gradio hands in `element` and `trigger`). Listens on the panel, not on
// the buttons: their markup changes with every drawing. Sends 'submit' (words to post) or 'click' (anything else).
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-say], [data-action], [data-scroll]');
  if (!button || !element.contains(button) || button.tagName === 'FORM') return;
  if (button.dataset.scroll) {
    document.getElementById(button.dataset.scroll)?.scrollIntoView({ behavior: 'smooth', block: 'start' });
  } else if (!button.dataset.confirm || window.confirm(button.dataset.confirm)) {
    trigger(button.dataset.say === undefined ? 'click' : 'submit', { ...button.dataset });
  }
});
element.addEventListener('submit', (event) => {
  event.preventDefault();
  const form = event.target;
  trigger('click', { ...form.dataset, text: form.elements.text.value });
  form.reset();
});
