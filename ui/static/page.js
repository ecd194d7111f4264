() => {
  // The language and the title are known to the server only when the visitor is.
  const root = document.documentElement;
  const adopt = () => {
    const top = document.querySelector('.cg-top');
    if (!top) return;
    if (root.lang !== top.dataset.lang) root.lang = top.dataset.lang;
    if (document.title !== top.dataset.title) document.title = top.dataset.title;
  };
  // Follow the conversation while its end is in sight; leave a reader alone who has scrolled up.
  const follow = (box) => {
    let atEnd = true;
    let turns = 0;
    box.addEventListener('scroll', () => { atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 80; });
    new MutationObserver(() => {
      const now = box.querySelectorAll('.cg-turn, .cg-note').length;
      if (now !== turns) atEnd = true;
      turns = now;
      if (atEnd) box.scrollTop = box.scrollHeight;
    }).observe(box, { childList: true, subtree: true, characterData: true });
  };
  // What cannot be sent yet never leaves the page: Gradio would drop it without a word, and the next message with it.
  const isBusy = () => Boolean(document.querySelector('.cg-live[aria-busy="true"]'));
  const isEmpty = () => !document.querySelector('#cg-box textarea')?.value.trim();
  const holdBack = (event, why) => {
    if (!why) return;
    event.preventDefault();
    event.stopPropagation();
    document.body.classList.toggle('cg-holding', isBusy());
  };
  const guardSending = () => {
    document.addEventListener('keydown', (event) => {
      const sends = event.key === 'Enter' && !event.shiftKey && !event.isComposing && event.target.closest?.('#cg-box');
      if (sends) holdBack(event, isBusy() || isEmpty());
    }, true);
    document.addEventListener('click', (event) => {
      if (event.target.closest?.('#cg-send')) holdBack(event, isBusy() || isEmpty());
      else if (event.target.closest?.('[data-say]')) holdBack(event, isBusy());
    }, true);
  };
  // A panel drawn again loses the keyboard's place in it: go to the same button, or the same card, or the box.
  const keepPlace = (panels) => {
    const keyOf = ({ dataset: d, name }) => JSON.stringify([d.say, d.kind, d.reason, d.turnId, d.itemId, d.wish, name]);
    let last = null;
    document.addEventListener('focusin', ({ target }) => {
      const panel = target.matches(':focus-visible') && panels.find((one) => one.contains(target));
      last = panel ? { target, panel, key: keyOf(target), item: target.dataset.itemId } : null;
    });
    const restore = () => {
      if (!last || last.target.isConnected || document.activeElement !== document.body) return;
      const buttons = [...last.panel.querySelectorAll('button, a, input, summary')];
      const inCard = (button) => last.item !== undefined && button.dataset.itemId === last.item;
      const next = buttons.find((button) => keyOf(button) === last.key) ?? buttons.find(inCard);
      (next ?? document.querySelector('#cg-box textarea'))?.focus({ preventScroll: true });
    };
    panels.forEach((panel) => new MutationObserver(restore).observe(panel, { childList: true, subtree: true }));
  };
  const start = () => {
    const box = document.getElementById('cg-conversation');
    if (!box) { setTimeout(start, 50); return; }
    follow(box);
    adopt();
    guardSending();
    keepPlace(['cg-top', 'cg-log', 'cg-wishes', 'cg-items-panel'].map((id) => document.getElementById(id)).filter(Boolean));
    new MutationObserver(() => { if (!isBusy()) document.body.classList.remove('cg-holding'); })
      .observe(document.getElementById('cg-live'), { childList: true, subtree: true, attributes: true });
    new MutationObserver(adopt).observe(document.getElementById('cg-top'), { childList: true, subtree: true, attributes: true });
    // A list of earlier chats closes when something else is pressed, or on Escape.
    const close = (keep) => document.querySelectorAll('details.cg-earlier[open]').forEach((d) => { if (d !== keep) d.open = false; });
    document.addEventListener('click', (event) => close(event.target.closest?.('details.cg-earlier')));
    document.addEventListener('keydown', (event) => { if (event.key === 'Escape') close(null); });
  };
  start();
}
