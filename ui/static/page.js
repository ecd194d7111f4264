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
  const start = () => {
    const box = document.getElementById('cg-conversation');
    if (!box) { setTimeout(start, 50); return; }
    follow(box);
    adopt();
    new MutationObserver(adopt).observe(document.getElementById('cg-top'), { childList: true, subtree: true, attributes: true });
    // A list of earlier chats closes when something else is pressed, or on Escape.
    const close = (keep) => document.querySelectorAll('details.cg-earlier[open]').forEach((d) => { if (d !== keep) d.open = false; });
    document.addEventListener('click', (event) => close(event.target.closest?.('details.cg-earlier')));
    document.addEventListener('keydown', (event) => { if (event.key === 'Escape') close(null); });
  };
  start();
}
