// The emoji that an operations channel uses, by Slack's names. Others are shown
// by name.
const names = `
red_circle 🔴 large_orange_circle 🟠 orange_circle 🟠 large_yellow_circle 🟡 yellow_circle 🟡 large_green_circle 🟢 green_circle 🟢
large_blue_circle 🔵 blue_circle 🔵 large_purple_circle 🟣 purple_circle 🟣 large_brown_circle 🟤 white_circle ⚪ black_circle ⚫
dart 🎯 white_small_square ▫️ black_small_square ▪️ newspaper 📰 repeat 🔁 large_green_square 🟩 large_red_square 🟥 large_yellow_square 🟨 large_orange_square 🟧 white_large_square ⬜ black_large_square ⬛
small_red_triangle 🔺 small_red_triangle_down 🔻 white_check_mark ✅ heavy_check_mark ✔️ ballot_box_with_check ☑️ x ❌
negative_squared_cross_mark ❎ warning ⚠️ no_entry ⛔ no_entry_sign 🚫 octagonal_sign 🛑 rotating_light 🚨 exclamation ❗ question ❓
grey_exclamation ❕ grey_question ❔ bangbang ‼️ information_source ℹ️ fire 🔥 boom 💥 zap ⚡ skull 💀 eyes 👀 bell 🔔 no_bell 🔕
mute 🔇 loudspeaker 📢 mega 📣 new 🆕 recycle ♻️ arrows_counterclockwise 🔄 arrow_right ➡️ arrow_left ⬅️ arrow_up ⬆️ arrow_down ⬇️
arrow_heading_up ⤴️ arrow_heading_down ⤵️ leftwards_arrow_with_hook ↩️ rewind ⏪ fast_forward ⏩ double_vertical_bar ⏸️ hourglass ⌛
hourglass_flowing_sand ⏳ stopwatch ⏱️ alarm_clock ⏰ clock1 🕐 calendar 📆 date 📅 chart_with_upwards_trend 📈
chart_with_downwards_trend 📉 bar_chart 📊 bulb 💡 mag 🔍 mag_right 🔎 wrench 🔧 hammer 🔨 hammer_and_wrench 🛠️ gear ⚙️ nut_and_bolt 🔩
link 🔗 lock 🔒 unlock 🔓 key 🔑 shield 🛡️ package 📦 ship 🚢 anchor ⚓ rocket 🚀 construction 🚧 traffic_light 🚥 computer 💻
desktop_computer 🖥️ floppy_disk 💾 cd 💿 electric_plug 🔌 battery 🔋 satellite_antenna 📡 globe_with_meridians 🌐 cloud ☁️
thunder_cloud_and_rain ⛈️ snowflake ❄️ droplet 💧 ocean 🌊 evergreen_tree 🌲 deciduous_tree 🌳 seedling 🌱 herb 🌿 fallen_leaf 🍂
bug 🐛 ambulance 🚑 fire_engine 🚒 pager 📟 telephone_receiver 📞 email 📧 incoming_envelope 📨 speech_balloon 💬 thought_balloon 💭
pushpin 📌 round_pushpin 📍 paperclip 📎 memo 📝 pencil 📝 pencil2 ✏️ page_facing_up 📄 clipboard 📋 books 📚 book 📖 bookmark 🔖
label 🏷️ ledger 📒 scroll 📜 card_index 📇 file_folder 📁 open_file_folder 📂 wastebasket 🗑️ inbox_tray 📥 outbox_tray 📤
thumbsup 👍 +1 👍 thumbsdown 👎 -1 👎 ok_hand 👌 wave 👋 clap 👏 raised_hands 🙌 pray 🙏 point_right 👉 point_up ☝️ muscle 💪
tada 🎉 sparkles ✨ star ⭐ trophy 🏆 smile 😄 slightly_smiling_face 🙂 thinking_face 🤔 sweat_smile 😅 cry 😢 sleeping 😴 zzz 💤
robot_face 🤖 ghost 👻 heart ❤️ green_heart 💚 broken_heart 💔 100 💯 one 1️⃣ two 2️⃣ three 3️⃣ four 4️⃣ five 5️⃣
baby 👶 busts_in_silhouette 👥 bust_in_silhouette 👤 office 🏢 house 🏠 moneybag 💰 credit_card 💳 shopping_trolley 🛒 turtle 🐢 snail 🐌
crescent_moon 🌙 sunny ☀️ broken_chain ⛓️‍💥 chains ⛓️ probing_cane 🦯 adhesive_bandage 🩹 stethoscope 🩺 firecracker 🧨 compass 🧭`;

const words = names.trim().split(/\s+/);
const table = new Map();
for (let i = 0; i + 1 < words.length; i += 2) table.set(words[i], words[i + 1]);

// emoji returns the character of a name, or "" where it is not known.
export function emoji(name) {
  return table.get(name) || "";
}
