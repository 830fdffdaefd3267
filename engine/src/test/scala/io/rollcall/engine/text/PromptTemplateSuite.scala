package io.rollcall.engine.text

import java.nio.file.Path
import java.time.LocalDate
import java.util.concurrent.{Callable, Executors}

import scala.jdk.CollectionConverters._

import com.fasterxml.jackson.databind.ObjectMapper
import org.scalatest.BeforeAndAfterAll
import org.scalatest.funsuite.AnyFunSuite

import io.rollcall.engine.UserException
import io.rollcall.engine.checkpoint.{ModelFiles, TinyCheckpoint}

/** What the chat templates here must give was rendered once with transformers' own Jinja2. */
class PromptTemplateSuite extends AnyFunSuite with BeforeAndAfterAll {
  private val builtin = ModelFiles.locate("builtin:summarizer-20m")
  private lazy val tokenizer = TextTokenizer.load(builtin)

  override def afterAll(): Unit = tokenizer.close()

  private val documents = Seq(
    "A plain document.", "", "  leading and trailing \n\n", "tab\tcr\r\nform\f\u000b nul\u0000 nbsp\u00a0 bom\ufeff",
    "日本語 😀 é", "{{ 7 * 7 }} {% if x %} {# c #} {%- raw -%} }} %}", "<b>&amp; \"quoted\" 'single'</b>",
    "back\\slash \\n \\u0000 $1", "ends with <|end|> inside")

  private def chatModel(template: String, tokens: String = ""): Path = {
    val at = TinyCheckpoint.directory()
    val config = new ObjectMapper().createObjectNode()
    config.put("bos_token", "<s>").put("eos_token", "</s>")
    if (template != null) config.put("chat_template", template)
    TinyCheckpoint.write(at, "config.json", "{}")
    TinyCheckpoint.write(at, "tokenizer_config.json", config.toString)
    at
  }

  private def template(spec: String, directory: Path): PromptTemplate =
    PromptTemplate.of(spec, ModelFiles.directory(directory), tokenizer)

  private def chat(source: String, prompt: String): String = template("chat", chatModel(source)).render(prompt)

  private def refusal(use: => Any): String = {
    val message = intercept[UserException](use).getMessage
    assert(!message.contains("\n"), message)
    message
  }

  test("summarize gives the built-in model exactly the tokens it was trained on") {
    val summarize = PromptTemplate.of("summarize", builtin, tokenizer)
    for (document <- documents) {
      val text = tokenizer.encode("Summarize in one line:\n" + document, false).toSeq
      assert(summarize.encode(document).toSeq == Seq(1, 3) ++ text ++ Seq(0, 4), document)
    }
  }

  test("a document is data: nothing in it is interpreted or escaped") {
    for (document <- documents) {
      assert(PromptTemplate.of("chat", builtin, tokenizer).render(document) ==
        s"<|begin|><|user|>$document<|end|><|assistant|>")
      assert(PromptTemplate.ofSource("f", "{{ prompt }}", builtin, tokenizer).render(document) == document)
    }
  }

  test("raw is the text as it stands, with the tokenizer's own special tokens") {
    val raw = PromptTemplate.of("raw", builtin, tokenizer)
    for (document <- documents) assert(raw.encode(document).toSeq == tokenizer.encode(document, true).toSeq)
  }

  test("a file's template renders the whole prompt") {
    val at = TinyCheckpoint.directory()
    TinyCheckpoint.write(at, "t.jinja", "{{ bos_token }}Q: {{ prompt | trim }}\nA:{# why #}{{ eos_token }}\n")
    val file = at.resolve("t.jinja").toString
    val template = PromptTemplate.of(file, builtin, tokenizer)
    assert(template.name == file && template.render(" why? ") == "<|begin|>Q: why?\nA:<|end|>")
    assert(template.encode("why?").head == 1 && template.encode("why?").count(_ == 1) == 1)
  }

  test("a file's template that does not use the prompt is refused, whatever else it does with it is not") {
    def own(source: String) = PromptTemplate.ofSource("own.j2", source, builtin, tokenizer)
    for (source <- Seq("", "Summarise: {{ text }}", "{{ text }}", "{# {{ prompt }} #}", "prompt", "{{ 'prompt' }}",
        "{% for message in messages %}{{ message.content }}{% endfor %}"))
      assert(refusal(own(source)).contains("template 'own.j2' does not use {{ prompt }}"), source)
    assert(own("{{ prompt | upper }}").render("x") == "X")
    assert(own("{{ prompt.split('|')[1] }}").render("x|y") == "y")
    assert(own("{% if 'long' in prompt %}Be brief. {% endif %}{% set p = prompt %}{{ p }}").render("x") == "x")
    assert(own("{% for line in prompt.split('|') %}> {{ line }};{% endfor %}").render("x|y") == "> x;> y;")
  }

  test("a template that is neither known nor a file is refused with the choices") {
    assert(refusal(PromptTemplate.of("sumarize", builtin, tokenizer)).contains("use raw, summarize, chat or the path"))
    assert(PromptTemplate.isFile("sumarize") && !PromptTemplate.isFile("chat"))
  }

  test("a model without a chat template is told to use raw or a file") {
    for (spec <- Seq("chat", "summarize"))
      assert(refusal(template(spec, chatModel(null))).contains("use --template raw or a file"))
    assert(template("raw", chatModel(null)).render("x") == "x")
  }

  test("where nothing is asked for, chat is used when the model can, else raw, and a manifest decides first") {
    def default(directory: Path) = PromptTemplate.defaultOf(ModelFiles.directory(directory), tokenizer).name
    assert(default(chatModel("{{ messages[0].content }}")) == "chat")
    assert(default(chatModel(null)) == "raw")
    assert(PromptTemplate.defaultOf(builtin, tokenizer).name == "summarize")
  }

  test("chat_template.jinja wins over the config, and of named templates the default counts") {
    val at = chatModel("config {{ messages[0].content }}")
    TinyCheckpoint.write(at, "chat_template.jinja", "file {{ messages[0].content }}")
    assert(template("chat", at).render("x") == "file x")
    TinyCheckpoint.write(at, "tokenizer_config.json",
      """{"chat_template": [{"name": "tool_use", "template": "tools"},
        | {"name": "default", "template": "named {{ messages[0].content }}"}]}""".stripMargin)
    java.nio.file.Files.delete(at.resolve("chat_template.jinja"))
    assert(template("chat", at).render("x") == "named x")
  }

  test("a template in ChatML's style gets its default system turn and keeps its newlines") {
    val source =
      """{%- if tools %}
        |    {{- '<|im_start|>system\n' }}
        |{%- else %}
        |    {%- if messages[0]['role'] == 'system' %}
        |        {{- '<|im_start|>system\n' + messages[0]['content'] + '<|im_end|>\n' }}
        |    {%- else %}
        |        {{- '<|im_start|>system\nBe brief.<|im_end|>\n' }}
        |    {%- endif %}
        |{%- endif %}
        |{%- for message in messages %}
        |    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        |        {{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>' + '\n' }}
        |    {%- endif %}
        |{%- endfor %}
        |{%- if add_generation_prompt %}
        |    {{- '<|im_start|>assistant\n' }}
        |{%- endif %}
        |""".stripMargin
    assert(chat(source, " a\nb ") ==
      "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n a\nb <|im_end|>\n<|im_start|>assistant\n")
  }

  test("a template in Llama 3's style trims the turn and takes today's date") {
    val source =
      """{{- bos_token }}
        |{%- if not tools is defined %}
        |    {%- set tools = none %}
        |{%- endif %}
        |{%- if not date_string is defined %}
        |    {%- if strftime_now is defined %}
        |        {%- set date_string = strftime_now("%d %b %Y") %}
        |    {%- else %}
        |        {%- set date_string = "26 Jul 2024" %}
        |    {%- endif %}
        |{%- endif %}
        |{#- The first turn may be the system's. #}
        |{%- if messages[0]['role'] == 'system' %}
        |    {%- set system_message = messages[0]['content'] | trim %}
        |    {%- set messages = messages[1:] %}
        |{%- else %}
        |    {%- set system_message = "" %}
        |{%- endif %}
        |{{- "<|header|>system<|/header|>\n\n" }}
        |{{- "Today: " + date_string + "\n\n" }}
        |{{- system_message }}
        |{{- "<|eot|>" }}
        |{%- for message in messages %}
        |    {%- if not (message.role == 'tool' or 'tool_calls' in message) %}
        |        {{- '<|header|>' + message['role'] + '<|/header|>\n\n' + message['content'] | trim + '<|eot|>' }}
        |    {%- else %}
        |        {{- raise_exception("no tools here") }}
        |    {%- endif %}
        |{%- endfor %}
        |{%- if add_generation_prompt %}
        |    {{- '<|header|>assistant<|/header|>\n\n' }}
        |{%- endif %}
        |""".stripMargin
    val rendered = chat(source, "  {{ hi }} \n")
    val today = """(?s)<s><\|header\|>system<\|/header\|>\n\nToday: \d\d [A-Z][a-z]{2} (\d{4})\n\n<\|eot\|>(.*)""".r
    rendered match {
      case today(year, rest) =>
        assert(math.abs(year.toInt - LocalDate.now.getYear) <= 1)
        assert(rest == "<|header|>user<|/header|>\n\n{{ hi }}<|eot|><|header|>assistant<|/header|>\n\n")
      case other => fail(other)
    }
  }

  test("a template with a namespace, a reversed loop and Python's string methods works") {
    val source =
      """{%- set ns = namespace(found=false, last=messages|length - 1) %}
        |{%- for message in messages[::-1] %}
        |    {%- if not ns.found and message.role == "user" and not(message.content.startswith('<tool>')) %}
        |        {%- set ns.found = true %}
        |        {%- set ns.last = messages|length - 1 - loop.index0 %}
        |    {%- endif %}
        |{%- endfor %}
        |{%- for message in messages %}
        |    {%- set content = message.content %}
        |    {%- if '</think>' in content %}
        |        {%- set content = content.split('</think>')[-1].lstrip('\n') %}
        |    {%- endif %}
        |    {{- '[' + message.role + ns.last|string + ']' + content }}
        |    {%- if loop.last and ns.found and enable_thinking is not defined %}!{% endif %}
        |{%- endfor %}""".stripMargin
    assert(chat(source, "<think>hm</think>\n\n ok") == "[user0] ok!")
    assert(chat(source, "<tool>x") == "[user0]<tool>x")
  }

  test("lines that hold only a block leave no newline, as transformers trims them") {
    val source =
      """{% for message in messages %}
        |{% if message['role'] == 'user' %}
        |{{ '<|user|>\n' + message['content'] + eos_token }}
        |{% endif %}
        |    {% if loop.last and add_generation_prompt %}
        |{{ '<|assistant|>' }}
        |    {% endif %}
        |{% endfor %}""".stripMargin
    assert(chat(source, "hi\n") == "<|user|>\nhi\n</s>\n<|assistant|>\n")
  }

  test("'not a is defined' means what it means in Jinja2, and strings are left alone") {
    val source = "{% if not add_generation_prompt is defined %}A{% endif %}" +
      "{% if not nothing is defined %}B{% endif %}{% if not 'x' in messages[0].content %}C{% endif %}" +
      "{{ 'not this is that' }}"
    assert(chat(source, "y") == "BCnot this is that")
    assert(chat(source, "x") == "Bnot this is that")
  }

  test("what a template refuses is said as the template says it") {
    val source = "{% if messages[0].content | length > 5 %}{{ raise_exception('too long: ' + messages[0].role) }}" +
      "{% endif %}{{ messages[0].content }}"
    val template = this.template("chat", chatModel(source))
    assert(template.render("short") == "short")
    assert(refusal(template.render("much too long")).endsWith("refuses the prompt: too long: user"))
  }

  test("a template that cannot be rendered fails when it is made, not at the first prompt") {
    for (source <- Seq("{% for m in messages", "{{ nothing_of_the_kind('x') }}", "{% unheard_of %}", "{{ 'a' 'b' }}"))
      assert(refusal(chat(source, "x")).contains("cannot be rendered"), source)
  }

  test("four threads render what one renders") {
    val summarize = PromptTemplate.of("summarize", builtin, tokenizer)
    val expected = documents.map(summarize.render)
    val pool = Executors.newFixedThreadPool(4)
    val work: Callable[Boolean] = () => (1 to 100).forall(_ => documents.map(summarize.render) == expected)
    try assert(pool.invokeAll(Seq.fill(4)(work).asJava).asScala.forall(_.get))
    finally pool.shutdown()
  }
}
